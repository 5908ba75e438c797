"""TLS: contexts for connections, and explanations of rejected certificates.

Read ``contexts`` first.
"""
