"""``sync``: many images at once, from a registry, a directory or a YAML file.

Read ``sync`` first.
"""
