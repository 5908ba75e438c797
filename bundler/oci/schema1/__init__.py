"""Docker image manifest version 2, schema 1.

The manifest, the image config derived from it, and the signature inside it. Read ``manifest``
first.
"""
