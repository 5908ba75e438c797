"""Authentication with registries: challenges, tokens, and the hosts that may receive credentials.

Read ``token_auth`` first.
"""
