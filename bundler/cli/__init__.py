"""The command line: arguments, environment, terminal, exit statuses.

Read ``program`` first, then ``frontends.native`` and one command, such as
``commands.bundles.export``.
"""
