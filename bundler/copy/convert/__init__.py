"""Conversion of images during a copy: manifest formats, compression, encryption.

``decide`` is a pure function from a graph and the destination's capabilities to a conversion
plan; ``layer_pipeline`` converts the layers; ``rewrite`` creates the new manifests. Imports
``oci``, ``content`` and ``ports``. Read ``options`` first, then ``decide``.
"""
