"""Lists of contents: images, their parts, their files, and where they are found.

Read ``list_images`` first.
"""
