"""A storage in a temporary directory, which tests fill through the transport."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager

from bundler import transports
from bundler.oci import manifest
from bundler.ports import OpenOptions
from bundler.transports.containers_storage import layer_store
from bundler.transports.containers_storage.transport import TRANSPORT
from tests.contracts import contents
from tests.fakes.memory import MemoryStore
from tests.fakes.tars import TarStore

DRIVERS = ("vfs", "overlay")
NAME = "example.com/app:1"
OPTIONS = OpenOptions(load_settings=None)


class SampleStorage:
    """A storage below ``path`` with one driver."""

    def __init__(self, path, driver="vfs"):
        self.root, self.driver, self.run_root = path / "root", driver, path / "run"

    def reference(self, name=NAME):
        location = f"[{self.driver}@{self.root}+{self.run_root}]"
        return transports.parse(f"containers-storage:{location}{name}")

    def source(self, options=OPTIONS):
        return TRANSPORT.source(self.reference(), options)

    def destination(self, options=OPTIONS):
        return TRANSPORT.destination(self.reference(), options)

    def copy(self, store, root, *names):
        """Copy an image from ``store`` into the storage."""
        with closing(self.destination()) as destination:
            contents.push_all(destination, store)
            contents.publish(destination, root, *names)

    def add_tars(self, *tars, name=NAME):
        """Copy an image with the layers ``tars`` into the storage; return its root."""
        store = MemoryStore()
        root = store.add_image(layers=tars)
        self.copy(store, root, name)
        return root

    def add_image(self, data=b"1", name=NAME):
        """Copy an image with one file into the storage; return its root and its ID."""
        store = TarStore()
        root = store.add_image(layers=[data])
        self.copy(store, root, name)
        return root, image_id(store, root)

    def tree(self, *diff_ids):
        """Return the directory of the topmost of the layers ``diff_ids``."""
        layer = None
        for diff_id in diff_ids:
            layer = layer_store.compute_chain_id(layer, diff_id)
        if self.driver == "vfs":
            return self.root / "vfs/dir" / layer
        return self.root / "overlay" / layer / "diff"

    def record_directory(self, kind):
        return self.root / f"{self.driver}-{kind}"

    def read_records(self, kind):
        return json.loads((self.record_directory(kind) / f"{kind}.json").read_bytes())

    def write_records(self, kind, records):
        (self.record_directory(kind) / f"{kind}.json").write_text(json.dumps(records))


def image_id(store, root):
    """Return the ID that an image of ``store`` gets in a storage."""
    return manifest.parse(store.blobs[root.digest], None).config.digest.hex


@contextmanager
def without_rights():
    """Run the block as an unprivileged user if the tests run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
