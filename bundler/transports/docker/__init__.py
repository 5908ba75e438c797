"""``docker://``: images in registries, with mirrors and the referrers tag scheme.

Read ``transport`` first.
"""
