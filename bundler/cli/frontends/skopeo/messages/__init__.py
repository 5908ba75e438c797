"""Skopeo's messages: errors, log lines, progress, prompts.

Read ``error_messages`` first.
"""
