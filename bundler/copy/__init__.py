"""The engine: resolve requests, create a plan, execute it.

Copy, sync, export and import all use this engine. Imports ``ports`` and the layers
below it, never a transport. Read ``engine`` first, then ``plan`` and ``resolving.resolve``.
"""
