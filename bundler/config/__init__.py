"""Users' configuration files, read into frozen values.

The containers tools' files under /etc and in the home directory, credentials, certificates,
proxies. Imports ``oci``, ``content``, ``gocompat`` and ``errors``. Never reads the environment
itself: paths and variables are arguments. Read ``settings`` first.
"""
