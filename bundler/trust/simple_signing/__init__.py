"""Simple signatures of images: OpenPGP messages that contain a payload in JSON.

``sigstore`` signs the same payload. Imports ``openpgp``, ``oci`` and below. Read ``signed_payload``
first.
"""
