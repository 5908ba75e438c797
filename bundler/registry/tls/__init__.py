"""TLS contexts for connections, and errors that explain rejected certificates.

Read ``contexts`` first.
"""
