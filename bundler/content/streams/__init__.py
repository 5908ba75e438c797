"""Readers: protocols, content in memory, reading loops, and the reader that verifies.

Read ``reader`` first.
"""
