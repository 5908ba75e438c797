"""The command line: arguments, environment, terminal, exit statuses.

Read ``main`` first, then ``frontends.native.commands`` and one command, such as
``commands.bundles.export``.
"""
