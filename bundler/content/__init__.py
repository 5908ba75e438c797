"""Byte streams and files: verification, compression, archives, atomic writes.

Imports ``oci``, ``events``, ``cancel`` and ``errors``, and is independent of registries and images.
Read ``streams`` first.
"""
