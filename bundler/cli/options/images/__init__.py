"""Options of the commands on images: platforms, conversions, and retries of the whole command.

Imports ``option`` and the layers below ``cli``. Read ``platforms`` first.
"""
