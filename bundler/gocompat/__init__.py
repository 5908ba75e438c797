"""Functions of Go's standard library and of Go libraries, with the same behaviour.

Files and templates of users rely on it. No I/O. Imports only ``errors`` and third-party parsers.
Read ``values`` first: templates and the JSON encoder work on these values.
"""
