"""YAML parser whose values have positions, and whose errors are collected.

Read ``document`` first. ``table`` reads configuration files without positions, ``skopeo_sync`` the
file of ``skopeo sync --src yaml``.
"""
