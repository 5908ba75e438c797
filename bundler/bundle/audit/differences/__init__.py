"""Differences between bundles, images and targets.

Read ``image_lists`` first (names and digests), then ``images`` (two images) and ``target`` (a
bundle and the place to which it was imported).
"""
