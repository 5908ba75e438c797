"""The bundle on disk: directory layout, inventory, checksums, signatures.

``inventory`` and ``plan`` are the signed documents, ``files`` names and finds the files,
``signatures`` are those of the bundle and of its images. ``reading`` opens a bundle wherever it is
stored, ``writing`` stores it in a directory, ``archive`` in one file. Imports ``copy``, ``trust``
and below. Read ``inventory.inventory`` first, then ``authenticate``.
"""
