"""Bundles: the bundle manifest, the format on disk, export, verification, import, audit.

Imports ``copy``, ``trust``, ``transports`` and below. Read ``exporting.export`` and
``importing.import_bundle`` first.
"""
