"""Compare the images of a bundle with the target, and decide on names that point elsewhere.

``merge_platforms`` combines an index of the bundle with that of the target, and ``signatures``
separates those that the target can store. Imports ``target`` and ``report`` of ``importing``,
``format``, and the layers below. Read ``compare_images`` first.
"""
