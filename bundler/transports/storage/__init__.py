"""The rooms below ``containers-storage:``: the files of a storage, as its other users know them.

https://github.com/containers/storage/tree/v1.59.1/docs
"""
