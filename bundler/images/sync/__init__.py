"""The operation ``sync``: copy many images from a registry, a directory or a YAML file.

Imports ``copy``, ``transports`` and the layers below them. Read ``sync`` first.
"""
