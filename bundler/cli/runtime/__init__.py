"""The context in which a command runs: environment, settings, signals, threads, policy.

Both front ends use it. Read ``context`` first.
"""
