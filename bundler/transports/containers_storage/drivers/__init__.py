"""Graph drivers: how layers are unpacked to disk. Read ``driver`` first, then ``apply_diff``."""
