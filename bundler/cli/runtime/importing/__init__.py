"""The parts shared by ``import``, its rehearsal and ``verify``.

These are the target with its names, the volumes that are asked for or verified one by one, and the
rehearsal of an import without network. Imports ``context``, ``policy_file``, ``options`` and
``output`` of ``cli``, and the layers below. Read ``import_target`` first.
"""
