"""Users' configuration files, read into frozen values; nothing here looks at the environment."""
