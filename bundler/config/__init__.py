"""User and administrator configuration, read into immutable values.

Covers the configuration files of the container tools, in /etc and in the home directory, and
credentials, certificates and proxies. Environment variables and paths are arguments; nothing here
reads the environment. Imports ``oci``, ``content``, ``gocompat`` and ``errors``. Read ``settings``
first.
"""
