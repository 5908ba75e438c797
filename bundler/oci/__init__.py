"""The OCI data model: digests, descriptors, manifests, references, image configs. No I/O.

Imports ``gocompat`` and ``errors``. The bytes of a document are authoritative; parsed values are
views of them. Read ``descriptor`` first, then ``manifest``.
"""
