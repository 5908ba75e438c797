"""The server of ``experimental-image-proxy``, which serves images to another process on a socket.

Imports ``images.inspect`` and the layers below ``images``. Read ``session`` first.
"""
