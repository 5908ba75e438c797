"""Front ends: the native command line and the one compatible with Skopeo.

Read ``frontend`` first.
"""
