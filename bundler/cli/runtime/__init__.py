"""The context in which a command runs: environment, settings, signals, threads, policy.

Both front ends use it. ``exporting``, ``importing`` and ``inspecting`` are the parts that several
commands of one kind share; ``signing`` reads the keys and logins that sign. Imports ``options`` and
``output`` of ``cli``, and the layers below. Read ``context`` first.
"""
