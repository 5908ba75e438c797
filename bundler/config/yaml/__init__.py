"""Handwritten YAML files: values with positions, and errors collected as findings.

Read ``document`` first. ``context`` interprets values, and ``skopeo_sync`` reads the file of
``skopeo sync --src yaml``.
"""
