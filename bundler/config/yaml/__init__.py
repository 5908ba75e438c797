"""Handwritten YAML files: values with positions, and all mistakes reported together.

Read ``document`` first. ``context`` interprets values, and ``skopeo_sync`` reads the file of
``skopeo sync --src yaml``.
"""
