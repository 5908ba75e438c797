"""Clients of web servers that are no registries, or no part of the distribution specification."""
