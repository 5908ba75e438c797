"""Authentication at registries: challenges, token services, and who may receive credentials.

Read ``token_auth`` first.
"""
