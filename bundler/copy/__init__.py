"""The engine: resolve, plan, execute.

``copy``, ``sync``, ``export`` and ``import`` are requests to this one engine. Imports ``ports``
and what lies below; never a transport. Read ``engine`` first, then ``plan`` and ``resolve``.
"""
