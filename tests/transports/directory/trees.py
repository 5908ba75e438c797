"""Write and examine trees of dir: images."""

from __future__ import annotations

from contextlib import closing

from bundler.ports import Publication
from bundler.transports.directory.tree import DirectoryTreeDestination
from tests.contracts import contents


def images(store, where="images"):
    return [Publication(root, (f"{where}/{root.digest.hex}",)) for root in store.names.values()]


def publish(path, store, *, may_copy=False):
    with closing(DirectoryTreeDestination(path, may_copy=may_copy)) as destination:
        contents.push_all(destination, store)
        destination.commit(images(store))


def paths(path):
    return {str(item.relative_to(path)) for item in path.rglob("*") if item.is_file()}


def times(path):
    return {item: item.stat().st_mtime_ns for item in path.rglob("*")}


def inodes(path):
    files = [item for item in path.rglob("*") if item.is_file() and item.name != "version"]
    return {file.stat().st_ino for file in files}
