"""Resolve the images of an export, and verify what the bundle manifest requires of them.

``verify_signatures`` checks the required signatures and ``foreign_layers`` finds the sources of
layers that the registry lacks; ``attest`` adds statements about the origin of the images. Imports
``copy``, ``trust``, ``transports`` and below, and ``format``. Read ``resolve`` first.
"""
