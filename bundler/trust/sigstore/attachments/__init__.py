"""Signatures that are stored beside an image, and what policy.json requires of them.

Read ``payload`` first.
"""
