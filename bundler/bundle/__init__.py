"""Bundles: manifest, format on disk, export, verification, import, audit, serving.

Imports ``copy``, ``trust``, ``transports`` and below. Read ``exporting.export`` and
``importing.import_bundle`` first.
"""
