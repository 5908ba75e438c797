"""Code that several transports use. Read ``path_transport`` first."""
