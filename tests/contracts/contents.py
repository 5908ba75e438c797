"""Images and streams for the contracts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.streams import VerifiedReader
from bundler.errors import MediumError
from bundler.oci.digest import Digest
from bundler.ports import Destination, Node, Publication
from tests.fakes.memory import MemoryStore

if TYPE_CHECKING:
    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor


def node(store: MemoryStore, digest: Digest) -> Node:
    """Return the node of content in ``store``, with the kind that its bytes indicate."""
    data = store.blobs[digest]
    try:
        value = json.loads(data)
    except ValueError:  # random bytes may begin with a brace
        value = None
    if not isinstance(value, dict):
        return Node("layer", "application/x", digest, len(data))
    if "schemaVersion" in value:
        return Node("manifest", value["mediaType"], digest, len(data))
    return Node("config" if "rootfs" in value else "layer", "application/x", digest, len(data))


def content(data: bytes, node: Node) -> VerifiedReader:
    """Return ``data`` as the content that the engine pushes for ``node``."""
    return VerifiedReader(
        Chunks(data),
        "test",
        digest=node.digest,
        size=node.size,
        media_type=node.media_type,
    )


def push(destination: Destination, store: MemoryStore, digest: Digest) -> Node:
    """Push a blob or a manifest of ``store``."""
    target = node(store, digest)
    stored = destination.push(target, content(store.blobs[digest], target))
    assert (stored.digest, stored.size) == (digest, len(store.blobs[digest]))
    assert stored.media_type == target.media_type
    return target


def push_all(destination: Destination, store: MemoryStore) -> None:
    """Push all content of ``store``, blobs before manifests, children before parents."""
    for digest in sorted(store.blobs, key=lambda digest: node(store, digest).kind == "manifest"):
        push(destination, store, digest)


def publish(destination: Destination, root: Descriptor, *names: str) -> None:
    """Commit one image."""
    destination.commit([Publication(root, names)])


def create_mixed_index() -> tuple[MemoryStore, Descriptor]:
    """Return an index with Docker and OCI images, an artifact and another index."""
    store = MemoryStore()
    shared = b"shared" * 1000
    oci = store.add_image(layers=[shared, b"one"])
    docker = store.add_image(layers=[shared, b"two"], docker=True)
    artifact = store.add_artifact(subject=oci)
    inner = store.add_index(manifests=[docker], docker=True)
    root = store.add_index("all", manifests=[oci, artifact, inner], annotations={"a": "<&é>"})
    return store, root


def read_rest(stream: Reader) -> bytes:
    """Read to the end, as the engine does: into one buffer, repeatedly."""
    buffer = memoryview(bytearray(100_000))
    data = bytearray()
    while count := stream.readinto(buffer):
        data += buffer[:count]
    return bytes(data)


@dataclass
class Chunks:
    """Reader of ``data`` that returns at most ``step`` bytes at a time."""

    data: bytes
    position: int = 0
    step: int = 700

    def read(self, size: int = -1, /) -> bytes:
        end = len(self.data) if size < 0 else self.position + min(size, self.step)
        chunk = self.data[self.position : end]
        self.position += len(chunk)
        return chunk

    def readinto(self, buffer: memoryview, /) -> int:
        chunk = self.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Broken(Chunks):
    """Reader that fails after ``step`` bytes."""

    def read(self, size: int = -1, /) -> bytes:
        if self.position >= self.step:
            raise MediumError("cut by the test")
        return super().read(size)


def sha512(data: bytes) -> Digest:
    """Return the sha512 digest of ``data``."""
    return Digest("sha512:" + hashlib.sha512(data).hexdigest())
