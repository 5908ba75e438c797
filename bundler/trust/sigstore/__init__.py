"""Sigstore signatures: of images as containers/image and cosign make them, and sigstore bundles.

Read ``attachments`` first (a signature that is stored beside an image), then ``bundle`` (a document
with a signature and all evidence). ``certificates``, ``logs`` and ``timestamps`` verify the
evidence, ``signing`` creates signatures.
"""
