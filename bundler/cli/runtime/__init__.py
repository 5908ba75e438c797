"""The context in which a command runs: settings, signals, threads, policy.

Read ``context`` first.
"""
