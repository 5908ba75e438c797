"""YAML with positions: every value knows its file, line and column, and mistakes are collected.

Read ``document`` first. ``skopeo_sync`` reads the YAML file of ``skopeo sync``.
"""
