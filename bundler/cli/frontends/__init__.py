"""Front ends: the native command line and the one compatible with Skopeo.

Read ``frontend`` first. A front end may import everything else in ``cli``; nothing but ``main``
imports it.
"""
