"""``dir:``: an image as plain files in a directory, and trees of such directories.

Read ``transport`` first; ``image_files`` defines the names of the files.
"""
