"""The files in the layers of images, listed from the streams; nothing is unpacked.

Read ``scan`` first (one layer), then ``file_tree`` (the layers of an image together).
"""
