"""Skopeo's arguments: its flags, their values, and the checks before a command runs.

Read ``argv`` first.
"""
