"""Compressing and decompressing streams (gzip, zstd, bzip2, xz). Read ``decompress`` first."""
