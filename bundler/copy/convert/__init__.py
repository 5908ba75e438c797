"""Conversion of images during a copy: manifest formats, compression, encryption.

``decide`` creates a conversion plan from a graph and the destination's capabilities, without I/O;
``layer_pipeline`` converts layers; ``rewrite`` creates the new manifests. Imports ``oci``,
``content`` and ``ports``. Read ``options`` first, then ``decide``.
"""
