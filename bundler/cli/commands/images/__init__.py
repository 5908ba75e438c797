"""Commands on images: copy, sync, inspect, list-tags, delete, manifest-digest.

``layers`` and the image proxy are for other programs.
"""
