"""The files of a bundle: their paths, their checksums, and their place in a directory.

``bundle_paths`` names them, ``bundle_files`` finds, opens and removes them in an open directory,
and ``blob_parts`` are those of blobs that are larger than a file of the medium may be. Imports
``copy``, ``content`` and below, and the inventory. Read ``bundle_paths`` first.
"""
