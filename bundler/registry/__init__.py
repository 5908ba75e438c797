"""A client of the OCI distribution specification; the only folder that speaks HTTP."""
