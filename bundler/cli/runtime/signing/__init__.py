"""Signers for a command: from key files, from logins, and from programs.

Read ``signing_keys`` first.
"""
