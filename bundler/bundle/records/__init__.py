"""The records of a site: the state of each stream, a log of imports, and their receipts.

Read ``site`` first, then ``log`` (the file) and ``admission`` (what a bundle is checked against).
"""
