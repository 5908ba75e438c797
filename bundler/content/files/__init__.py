"""Files and directories: atomic writes, access without following links, locks, names.

Read ``atomic_write`` first.
"""
