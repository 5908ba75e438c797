"""The command line of Skopeo 1.22: flags, messages and exit statuses.

Read ``frontend`` first, then ``commands`` and ``requests``.
"""
