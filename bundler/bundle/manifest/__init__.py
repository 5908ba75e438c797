"""The bundle manifest that users write, and its pinned form, the lock file.

Read ``load`` first.
"""
