"""Trust: key pairs, signatures, the enforcement of policy.json, and layer encryption.

Imports ``ports``, ``config``, ``content``, ``oci`` and below. Read ``keys`` first. Signatures of
images are those of ``simple_signing``, which uses ``openpgp``, of ``sigstore`` and of ``notation``;
``policy`` verifies those that policy.json requires. ``bundle_trust`` decides which signatures of a
bundle count, by keys or by ``trust_files``; ``private_keys`` sign; ``ocicrypt`` is independent of
the rest.
"""
