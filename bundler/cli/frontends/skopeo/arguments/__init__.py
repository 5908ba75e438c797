"""Skopeo's arguments: its flags, their values, the checks that it makes before it works.

Read ``argv`` first.
"""
