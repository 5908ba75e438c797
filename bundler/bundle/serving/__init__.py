"""Serve the images of bundles as a read-only registry, without importing them.

Read ``content`` first, then ``answers``: the answer to a request is a function of both. ``server``
adds sockets, TLS and deadlines. Imports ``bundle.importing`` and below.
"""
