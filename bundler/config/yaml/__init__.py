"""YAML files that users write: values with positions, and mistakes that are collected.

Read ``document`` first. ``context`` interprets values, and ``skopeo_sync`` reads the file of
``skopeo sync --src yaml``.
"""
