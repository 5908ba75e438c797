"""Files and directories: atomic writes, safe access below a directory, locks, names.

Read ``atomic_write`` first.
"""
