"""Docker image manifest version 2, schema 1.

Manifests, the image configs derived from them, and the signatures inside them. Read ``manifest``
first.
"""
