"""Images in dictionaries: the shortest complete transport.

``MemoryStore.source()`` and ``MemoryStore.destination()`` open a store as any other transport opens
a directory or a registry. The command line cannot refer to a store.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.streams import read_chunks
from bundler.errors import InvalidReferenceError, NoSuchImageError, NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.ports import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from bundler.content.streams import Content, Reader
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions, Publication

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class MemoryReference:
    """``memory:NAME``, or ``memory:`` for the only image."""

    name: str | None = None
    transport: str = "memory"

    def __str__(self) -> str:
        return f"memory:{self.name or ''}"


class MemoryStore:
    """Blobs by digest and root descriptors by name. Sources and destinations may share a store."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.names: dict[str | None, Descriptor] = {}

    def source(self) -> MemorySource:
        """Open the store for reading."""
        return MemorySource(self)

    def destination(self, capabilities: Capabilities | None = None) -> MemoryDestination:
        """Open the store for writing."""
        return MemoryDestination(self, capabilities or Capabilities())

    def transport(self) -> MemoryTransport:
        """Return a transport that opens this store."""
        return MemoryTransport(self)

    def open(self, node: Node, offset: int) -> AbstractContextManager[Reader]:
        """Open a blob at ``offset``.

        Raises:
            NotFoundError: the store has no such blob.
        """
        data = None if node.digest is None else self.blobs.get(node.digest)
        if data is None:
            raise NotFoundError(f"memory: no blob {node.digest}")
        return io.BytesIO(data[offset:])


class MemorySource:
    """Source of the images in a store."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root called ``name``; without a name, the only root."""
        names = self._store.names
        if name is None and len(names) == 1:
            return next(iter(names.values()))
        if name not in names:
            raise NoSuchImageError("memory", str(name), hint=f"memory contains {self.tags()}")
        return names[name]

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open the bytes of ``node``."""
        return self._store.open(node, offset)

    def tags(self) -> list[str]:
        """Return all names."""
        return [name for name in self._store.names if name is not None]

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return all manifests in the store whose subject is ``subject``."""
        found = []
        for digest, raw in list(self._store.blobs.items()):
            try:
                value = json.loads(raw) if raw[:1] == b"{" else {}
            except ValueError:
                continue
            if value.get("subject", {}).get("digest") == subject.text:
                artifact_type = value.get("artifactType") or value.get("config", {}).get(
                    "mediaType"
                )
                found.append(
                    Descriptor(value["mediaType"], digest, len(raw), artifact_type=artifact_type)
                )
        return found

    def close(self) -> None:
        """Do nothing: the source holds no resources."""


class MemoryDestination:
    """Destination that writes to a store."""

    def __init__(self, store: MemoryStore, capabilities: Capabilities) -> None:
        self._store = store
        self.capabilities = capabilities

    def has(self, node: Node, /) -> bool:
        """Return whether the store contains ``node``, with its size if that is known."""
        data = None if node.digest is None else self._store.blobs.get(node.digest)
        return data is not None and node.size in (None, len(data))

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store all of ``content``."""
        data = bytearray()
        for chunk in read_chunks(content, _CHUNK):
            data += chunk
        stored = content.descriptor()
        self._store.blobs[stored.digest] = bytes(data)
        return Descriptor(node.media_type, stored.digest, stored.size)

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open the bytes of ``node``."""
        return self._store.open(node, offset)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Set every name; an image without one gets the name None."""
        for image in images:
            for name in image.names or (None,):
                self._store.names[name] = image.root

    def close(self) -> None:
        """Do nothing: the destination holds no resources."""


class MemoryTransport:
    """Transport that opens the same store for every reference."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def parse(self, text: str, /) -> MemoryReference:
        """Parse a name; an empty text denotes the only image."""
        if "\n" in text:
            raise InvalidReferenceError(f"{text[:80]!r} is not a valid name in memory")
        return MemoryReference(text or None)

    def source(self, reference: MemoryReference, options: OpenOptions, /) -> MemorySource:  # noqa: ARG002 - the port's form
        """Open the store for reading."""
        return self._store.source()

    def destination(self, reference: MemoryReference, options: OpenOptions, /) -> MemoryDestination:  # noqa: ARG002 - the port's form
        """Open the store for writing."""
        return self._store.destination()
