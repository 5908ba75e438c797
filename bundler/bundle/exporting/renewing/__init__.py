"""Renew a bundle: read the former one, make room for the new one, or leave it as it is.

Imports ``format``, ``sealing`` and the request of ``export``. Read ``former_bundle`` first.
"""
