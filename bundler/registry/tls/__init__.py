"""TLS contexts for connections, and errors that explain why a certificate is rejected.

Read ``contexts`` first.
"""
