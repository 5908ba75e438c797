"""Check images by containers-policy.json(5): scopes, requirements, and names in signatures.

Imports ``simple_signing``, ``sigstore``, ``config`` and below. Read ``policy`` first, then
``requirements``.
"""
