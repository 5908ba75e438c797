"""Registry credentials: auth.json, credential helpers, and which of them applies to a repository.

Read ``lookup`` first.
"""
