"""Operations on images: copy, sync, inspect, list tags, delete, extract layers, log in, proxy.

Each operation is a module, with a public function and its request. Imports ``copy``, ``trust``,
``transports`` and the layers below them. Read ``copy_image`` first.
"""
