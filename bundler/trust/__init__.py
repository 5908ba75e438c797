"""Trust: key pairs, signatures, the enforcement of policy.json, and layer encryption.

Imports ``ports``, ``config``, ``content``, ``oci`` and below. Read ``keys`` first; ``ocicrypt`` is
independent of the rest.
"""
