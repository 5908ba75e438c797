"""Verify a bundle: signatures, checksums, the graph of every image. Read ``verify`` first."""
