"""Readers: protocols, reading loops, the reader that verifies, a reader of bytes in memory.

Read ``reader`` first.
"""
