"""``containers-storage:``: the local image store of Podman, Buildah and CRI-O.

``transport`` parses a reference and combines it with the configuration; ``source`` and
``destination`` read and write the storage. They use

- ``storage``: the directories and records of a storage, - ``image_store`` and ``layer_store``:
addition and removal of images and layers, - ``metadata`` and ``lockfile``: the files of records and
their locks, - ``readback_manifest`` and ``signatures``: stored manifests and signatures, -
``drivers``: the graph drivers, which unpack layers.

Read ``transport`` first, then ``destination``.
"""
