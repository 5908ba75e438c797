"""Byte streams and files: verification, compression, archives, atomic writes.

Imports ``oci``, ``events``, ``cancel`` and ``errors``. Knows nothing of registries or images. Read
``streams.reader`` and ``streams.verified`` first.
"""
