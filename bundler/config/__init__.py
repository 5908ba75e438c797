"""Configuration of the user and the administrator, read into frozen values.

Covers the files of the containers tools in /etc and the home directory, credentials, certificates
and proxies. Environment variables and paths are arguments; nothing here reads the environment.
Imports ``oci``, ``content``, ``gocompat`` and ``errors``. Read ``settings`` first.
"""
