"""``containers-storage:``: the local image store of Podman, Buildah and CRI-O.

``transport`` parses a reference and combines it with the configuration; ``source`` and
``destination`` read and write the storage. They use

- ``storage``: the directories of a storage and the records in it,
- ``image_store`` and ``layer_store``: add and remove images and layers,
- ``metadata`` and ``lockfile``: the files of records and their locks,
- ``readback_manifest`` and ``signatures``: how manifests and signatures are stored,
- ``drivers``: the graph drivers, which unpack layers.

Read ``transport`` first, then ``destination``.
"""
