"""Encrypted layers (ocicrypt): recipients, wrapped keys, the cipher stream.

Read ``recipients`` first.
"""
