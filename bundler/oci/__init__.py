"""The data model of OCI and Docker images, as values; no I/O at all."""
