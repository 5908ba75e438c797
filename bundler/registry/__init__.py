"""The HTTP client for registries (OCI distribution specification).

The only folder that imports requests. Gets plain values (credentials, TLS files, timeouts) and
never reads configuration. Read ``repository`` first, then ``session``.
"""
