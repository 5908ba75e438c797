"""Streams of bytes: verify, compress, read archives, write files that are whole or absent."""
