"""``containers-storage:``: the local image store of podman, buildah and CRI-O.

Read ``transport`` first, then ``storage``. ``drivers/`` holds the graph drivers that unpack
layers.
"""
