"""The engine: resolve requests, plan, execute.

Copy, sync, export and import are front ends of this one engine. Imports ``ports`` and the layers
below it, never a transport. Read ``engine`` first, then ``plan`` and ``resolve``.
"""
