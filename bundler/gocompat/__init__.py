"""Functions of Go's standard library and of Go libraries, with the same behaviour.

Files and templates of users depend on that behaviour. No I/O. Imports only ``errors`` and
third-party parsers. Read ``values`` first: it defines what templates and the JSON encoder format.
"""
