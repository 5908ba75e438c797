"""Keys, signatures and policy: who signed something, and whether that is enough.

Imports ``ports``, ``config``, ``oci`` and below. Read ``keys`` first.
"""
