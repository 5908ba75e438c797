"""The parts shared by ``export``, ``plan``, ``lock`` and ``carry``.

These are the bundle manifest with its lock file, the blobs that the target already has, the program
that a medium carries, and the notes on signatures. Imports ``context``, ``trusted_keys``,
``options`` and ``output`` of ``cli``, and the layers below. Read ``manifest_input`` first.
"""
