"""Seal a bundle: write the small files that make content in a directory or an archive a bundle.

``archive_seal`` and ``volume_layout`` also write the sealed plan, which precedes the content of an
archive and of each volume. Imports ``format``, ``recovery`` and the request of ``export``. Read
``seal`` first.
"""
