"""The medium that a bundle is written to: file system, limits, free space.

Read ``filesystem`` first.
"""
