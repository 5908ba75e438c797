"""The bundle on disk: directory layout, inventory, checksums, signatures.

Read ``inventory`` first.
"""
