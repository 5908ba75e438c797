"""Graph drivers, which unpack layers to disk. Read ``driver`` first, then ``apply_diff``."""
