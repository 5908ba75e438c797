"""Code for several transports: frames of sources and destinations, archive files, pipes, hints.

Read ``path_transport`` first.
"""
