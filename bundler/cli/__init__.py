"""The command line: arguments, environment, terminal, exit statuses.

Read ``main`` first, then ``frontends.native`` and one command, such as
``commands.bundles.export``.
"""
