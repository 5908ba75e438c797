"""HTTP client for registries (OCI distribution specification).

This is the only folder that imports requests. Its input is plain values (credentials, TLS files,
limits) from ``config.registry_access``; it reads no configuration. Read ``repository`` first, then
``session``.
"""
