"""Write archives for docker load."""

from __future__ import annotations

from contextlib import closing

from bundler.ports import OpenOptions, Publication
from bundler.transports.docker_archive.transport import DockerArchiveDestination
from tests.contracts import contents

OPTIONS = OpenOptions(load_settings=None)


def image(store, *layers):
    return store.add_image(layers=layers or (b"one" * 900, b"two"), docker=True, compress=False)


def write(path, store, *publications, options=OPTIONS):
    with closing(DockerArchiveDestination(path, options)) as destination:
        contents.push_all(destination, store)
        destination.commit([Publication(root, names) for root, names in publications])
