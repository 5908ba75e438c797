"""The command line: arguments, environment, terminal, exit statuses.

Nothing else reads the environment. Read ``main`` first, then one command, such as
``commands.bundles.export``.
"""
