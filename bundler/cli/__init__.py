"""The command line: arguments, environment, terminal, exit statuses."""
