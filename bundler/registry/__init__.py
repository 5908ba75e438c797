"""HTTP client for registries (OCI distribution specification).

No other folder imports requests. The client reads no configuration: it receives credentials, TLS
files and limits as values of ``config.registry_access``. Read ``repository`` first, then
``session``, which repeats and authenticates requests, and ``exchange``, which sends each of them
and limits its time.
"""
