"""Verify a bundle: signatures, checksums, the content of each image. Read ``verify`` first."""
