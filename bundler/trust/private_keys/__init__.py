"""Private keys: in encrypted files, in an ssh-agent, and behind commands.

Read ``signers`` first.
"""
