"""Skopeo's messages: errors, log lines and progress.

Read ``error_messages`` first.
"""
