"""The OCI data model: digests, descriptors, manifests, references, image configs. No I/O.

Imports ``gocompat`` and ``errors``. A manifest is its bytes; parsed values are views of them. Read
``descriptor`` first, then ``manifest``.
"""
