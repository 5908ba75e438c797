"""Layouts, directories and archives, written without the code under test."""

from __future__ import annotations

import gzip
import json

from bundler.oci import manifest
from bundler.oci.digest import Digest
from tests.contracts import contents
from tests.fakes import tars
from tests.fakes.memory import MemoryStore

LAYOUT_MARK = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"


def layout_files(store):
    """Return the files of a layout with all images of ``store``, by their paths."""
    entries = [
        root.to_json() | {"annotations": {REF_NAME: name}} for name, root in store.names.items()
    ]
    blobs = {f"blobs/{digest.algorithm}/{digest.hex}": data for digest, data in store.blobs.items()}
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    return blobs | {"index.json": index, "oci-layout": LAYOUT_MARK}


def write_layout(path, store):
    """Write a layout with all images of ``store``."""
    for name, data in layout_files(store).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_directory(path, store):
    """Write a ``dir:`` image, the only one with a name in ``store``."""
    path.mkdir(exist_ok=True)
    for digest, data in store.blobs.items():
        is_manifest = contents.node(store, digest).kind == "manifest"
        stem = digest.hex if digest.algorithm == "sha256" else f"sha512-{digest.hex}"
        (path / f"{stem}{'.manifest.json' if is_manifest else ''}").write_bytes(data)
    (root,) = store.names.values()
    (path / f"{root.digest.hex}.manifest.json").rename(path / "manifest.json")
    (path / "version").write_bytes(b"Directory Transport Version: 1.1\n")
    return path


def write_tree(path, store):
    """Write a tree of ``dir:`` images, named by the digests of their roots."""
    (path / "images").mkdir(exist_ok=True, parents=True)
    for name, root in store.names.items():
        single = MemoryStore()
        single.blobs, single.names = store.blobs, {name: root}
        write_directory(path / "images" / root.digest.hex, single)
    return path


def docker_archive_files(store, root, tags=None):
    """Return the members of the archive that ``docker save`` writes of ``root``."""
    parsed = manifest.parse(store.blobs[root.digest], None)
    layers = [unpack(store.blobs[layer.digest]) for layer in parsed.layers]
    names = [f"{Digest.of(data).hex}/layer.tar" for data in layers]
    config = f"{parsed.config.digest.hex}.json"
    entry = {"Config": config, "RepoTags": tags, "Layers": names}
    return {
        config: store.blobs[parsed.config.digest],
        **dict(zip(names, layers, strict=True)),
        "manifest.json": json.dumps([entry]).encode(),
    }


def unpack(layer):
    """Return the uncompressed content of a layer."""
    return gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer


def pack(files, *links):
    """Return a tar archive of ``files``, which are contents by name, and of members of ``tars``."""
    return tars.pack(*(tars.member(name, data) for name, data in files.items()), *links)
