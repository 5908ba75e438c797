"""Files and directories: atomic writes, access without following links, and locks.

Read ``atomic_write`` first.
"""
