"""``experimental-image-proxy``: serves images to another process over a socket.

Read ``server`` first.
"""
