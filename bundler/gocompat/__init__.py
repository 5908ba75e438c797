"""Imitations of Go's standard library and of libraries written in Go.

Users' files and templates rely on their exact behaviour. No I/O. Imports only ``errors`` and
third-party parsers. Read ``values`` first: the values that templates and JSON encoding work on.
"""
