"""Tar archives and formats built on them: index, stream, writer, tar-split, zstd:chunked.

Read ``tar_index`` first.
"""
