"""The state of the records: what the entries of the log amount to, for each stream and for trust.

``state_file`` stores it, so that the log is not read each time. Imports ``log`` and
``permissions``. Read ``streams`` first.
"""
