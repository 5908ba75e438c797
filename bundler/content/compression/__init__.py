"""Compression and decompression of streams (gzip, zstd, bzip2, xz). Read ``decompress`` first."""
