"""The records of a site: the state of each stream, a log of imports, and their receipts.

``log`` contains the entries, ``state`` what they amount to, ``evidence`` the objects that they
refer to. Imports ``format`` and ``audit`` of ``bundle``, and the layers below. Read ``site`` first,
then ``log.log`` (the file) and ``admission`` (what a bundle is checked against).
"""
