"""The YAML files that users write: bundle manifests, their lock files, target files.

Read ``load`` first, then ``entries`` and ``expand``.
"""
