"""Operations on images: copy, sync, inspect, list tags, delete, login, image proxy.

Imports ``copy``, ``trust``, ``transports`` and below. One function per command; read
``copy_image`` first.
"""
