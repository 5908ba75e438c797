"""Signatures in a bundle.

``bundle_signatures`` sign the bundle itself. The other modules are about its images:
``attached_signatures`` and ``signature_artifacts`` are referrers, ``image_signatures`` are files of
the bundle, and an ``attestation`` is the statement of an export.
"""
