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
    return {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}


def times(path):
    return {one: one.stat().st_mtime_ns for one in path.rglob("*")}


def inodes(path):
    return {one.stat().st_ino for one in path.rglob("*") if one.is_file() and one.name != "version"}
