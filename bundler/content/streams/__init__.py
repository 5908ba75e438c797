"""Readers: the protocols, the reader that verifies, a reader of bytes in memory.

Read ``reader`` first.
"""
