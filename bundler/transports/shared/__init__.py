"""Code for several transports: base classes, archive files, pipes, temporary files, hints.

Read ``path_transport`` first.
"""
