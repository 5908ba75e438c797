"""Operations on images: copy, sync, inspect, list tags, delete, extract layers, log in, proxy.

Each operation is one module with a request and one public function. Imports ``copy``, ``trust``,
``transports`` and the layers below them. Read ``copy_image`` first.
"""
