"""The files in the layers of images, read from the streams; nothing is unpacked.

Read ``scan`` first (one layer), then ``file_tree`` (the layers of an image together), ``contents``
(what is read for packages and rules) and ``layer_reader`` (many layers in parallel).
"""
