"""Skopeo's arguments: the flags, their values, and the checks before a command runs.

Read ``argv`` first.
"""
