"""Sigstore signatures: of images as containers/image and cosign make them, and sigstore bundles.

Read ``payload`` first (the signed content), then ``attachment`` (a signature that is stored beside
an image) and ``bundle`` (a document with a signature and all evidence). ``certificates``,
``log_entry``, ``inclusion`` and ``timestamps`` verify the evidence, ``signer`` creates signatures.
"""
