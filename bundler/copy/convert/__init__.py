"""Conversion of images on the way: manifest formats, compression, encryption.

``decide`` is a pure function from a graph and the destination's capabilities to a plan;
``layer_pipeline`` converts the layers; ``rewrite`` makes the new manifests. Read ``options``
first, then ``decide``.
"""
