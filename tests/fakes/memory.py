"""Stores in memory for tests: images made in one call, logged operations, faults on demand.

store = MemoryStore(Fault("read", nth=2, after=3))
root = store.add_image("app")
...
assert "open sha256:…@0" in store.log
"""

from __future__ import annotations

import gzip
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import MediumError, NotFoundError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.ports import Capabilities
from bundler.transports.memory import transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.content.streams import Content, Reader
    from bundler.ports import Node, Publication

EMPTY_CONFIG = b"{}"
EMPTY_DESCRIPTOR = Descriptor(
    "application/vnd.oci.empty.v1+json",
    Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    len(EMPTY_CONFIG),
)
_LINUX = Platform("linux", "amd64")


@dataclass(slots=True)
class Fault:
    """A failure of one operation.

    Operations are ``resolve``, ``open``, ``read`` (of an opened stream), ``push`` and ``commit``.
    ``short`` ends a stream early, ``wrong`` flips its last bit, ``long`` adds a byte; ``raise``
    raises ``error``. The fault affects the ``nth`` matching operation and those after it, ``times``
    times.
    """

    on: Literal["resolve", "open", "read", "push", "commit"]
    effect: Literal["raise", "short", "wrong", "long"] = "raise"
    digest: Digest | None = None
    """Only for this content; None: for any."""
    nth: int = 1
    times: int = 1
    after: int = 0
    """With ``read``, ``push`` and ``short``: the number of bytes that pass first."""
    error: Exception | None = None

    def strikes(self, on: str, digest: Digest | None) -> bool:
        """Count an operation, and report whether it fails."""
        if on != self.on or (self.digest is not None and digest != self.digest) or not self.times:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.times -= 1
        return True

    def exception(self) -> Exception:
        """The exception to raise."""
        return self.error or MediumError(f"memory: {self.on} fails on demand")


class MemoryStore(transport.MemoryStore):
    """A store in memory with a log, faults, and methods that make images."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__()
        self.faults = list(faults)
        self.log: list[str] = []
        """``resolve NAME``, ``open DIGEST@OFFSET``, ``push DIGEST``, ``commit NAME``, in order."""
        self._lock = threading.Lock()

    def source(self) -> MemorySource:
        """Open the store for reading."""
        return MemorySource(self)

    def destination(self, capabilities: Capabilities | None = None) -> MemoryDestination:
        """Open the store for writing."""
        return MemoryDestination(self, capabilities or Capabilities())

    def open(self, node: Node, offset: int) -> _Stream:
        """Open a blob, altered by a fault if one applies."""
        self.note(f"open {node.digest}@{offset}")
        data = None if node.digest is None else self.blobs.get(node.digest)
        if data is None or node.digest is None:
            raise NotFoundError(f"memory: no blob {node.digest}")
        fault = self.fault("open", node.digest)
        if fault is not None:
            data = _altered(data, fault)
        return _Stream(self, node.digest, data[offset:])

    def add_blob(self, data: bytes, *, algorithm: str = "sha256") -> Digest:
        """Store ``data``."""
        digest = Digest.of(data, algorithm)
        self.blobs[digest] = data
        return digest

    def add_image(
        self,
        name: str | None = None,
        *,
        layers: Sequence[bytes] = (b"a layer",),
        platform: Platform = _LINUX,
        docker: bool = False,
        compress: bool = True,
        subject: Descriptor | None = None,
        algorithm: str = "sha256",
    ) -> Descriptor:
        """Make an image of ``layers`` (their uncompressed bytes), named unless ``name`` is None.

        The descriptor holds the platform, as an index would.
        """
        config = platform.to_json() | {
            "config": {},
            "rootfs": {
                "type": "layers",
                "diff_ids": [Digest.of(layer).text for layer in layers],
            },
        }
        stored = [gzip.compress(layer, mtime=0) if compress else layer for layer in layers]
        layer_type = _layer_type(docker=docker, compress=compress)
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST if docker else media_types.OCI_MANIFEST,
            "config": self._add(
                media_types.DOCKER_CONFIG if docker else media_types.OCI_CONFIG,
                _compact(config),
                algorithm,
            ).to_json(),
            "layers": [self._add(layer_type, data, algorithm).to_json() for data in stored],
        }
        if subject is not None:
            value["subject"] = _plain(subject).to_json()
        return self._add_manifest(name, value, algorithm, platform)

    def add_index(
        self,
        name: str | None = None,
        *,
        manifests: Sequence[Descriptor],
        docker: bool = False,
        annotations: Mapping[str, str] | None = None,
        algorithm: str = "sha256",
    ) -> Descriptor:
        """Make an index of manifests, which may be indexes themselves."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_LIST if docker else media_types.OCI_INDEX,
            "manifests": [item.to_json() for item in manifests],
        }
        if annotations:
            value["annotations"] = dict(annotations)
        return self._add_manifest(name, value, algorithm)

    def add_artifact(
        self,
        name: str | None = None,
        *,
        artifact_type: str = "application/vnd.example.sbom.v1",
        blobs: Sequence[bytes] = (b"a blob",),
        subject: Descriptor | None = None,
    ) -> Descriptor:
        """Make an artifact with the empty config, which refers to ``subject`` unless it is None."""
        self.add_blob(EMPTY_CONFIG)
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": EMPTY_DESCRIPTOR.to_json(),
            "layers": [self._add(artifact_type, data, "sha256").to_json() for data in blobs],
        }
        if subject is not None:
            value["subject"] = _plain(subject).to_json()
        return self._add_manifest(name, value, "sha256")

    def note(self, line: str) -> None:
        """Add ``line`` to the log."""
        with self._lock:
            self.log.append(line)

    def fault(self, on: str, digest: Digest | None = None) -> Fault | None:
        """The fault that applies to this operation; None if it succeeds."""
        with self._lock:
            return next((fault for fault in self.faults if fault.strikes(on, digest)), None)

    def fail(self, on: str) -> None:
        """Raise the exception of the fault that applies to this operation."""
        fault = self.fault(on)
        if fault is not None:
            raise fault.exception()

    def _add(self, media_type: str, data: bytes, algorithm: str) -> Descriptor:
        return Descriptor(media_type, self.add_blob(data, algorithm=algorithm), len(data))

    def _add_manifest(
        self,
        name: str | None,
        value: dict[str, Any],
        algorithm: str,
        platform: Platform | None = None,
    ) -> Descriptor:
        raw = _compact(value)
        digest = self.add_blob(raw, algorithm=algorithm)
        root = Descriptor(
            value["mediaType"],
            digest,
            len(raw),
            platform=platform,
            artifact_type=value.get("artifactType"),
        )
        if name is not None:
            self.names[name] = root
        return root


class MemorySource(transport.MemorySource):
    """A source that reads a store, logs operations, and fails on demand."""

    _store: MemoryStore

    def resolve(self, name: str | None = None, /) -> Descriptor:
        self._store.note(f"resolve {name}")
        self._store.fail("resolve")
        return super().resolve(name)


class MemoryDestination(transport.MemoryDestination):
    """A destination that writes a store, logs operations, and fails on demand."""

    _store: MemoryStore

    def push(self, node: Node, content: Content, /) -> Descriptor:
        fault = self._store.fault("push", node.digest)
        if fault is not None:
            _discard(content, fault.after)
            raise fault.exception()
        stored = super().push(node, content)
        self._store.note(f"push {stored.digest}")
        return stored

    def commit(self, images: Sequence[Publication], /) -> None:
        self._store.fail("commit")
        super().commit(images)
        for image in images:
            for name in image.names or (None,):
                self._store.note(f"commit {name}")


class _Stream:
    """One stream of a blob, which may fail while it is read."""

    def __init__(self, store: MemoryStore, digest: Digest, data: bytes) -> None:
        self._store = store
        self._digest = digest
        self._data = data
        self._position = 0
        self._fault: Fault | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, size: int = -1, /) -> bytes:
        buffer = bytearray(len(self._data) - self._position if size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        if self._fault is None:
            self._fault = self._store.fault("read", self._digest)
        end = len(self._data)
        if self._fault is not None:
            if self._position >= self._fault.after:
                raise self._fault.exception()
            end = min(end, self._fault.after)
        chunk = self._data[self._position : min(end, self._position + len(buffer))]
        buffer[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)


def _discard(content: Reader, size: int) -> None:
    """Read ``content`` until at least ``size`` bytes have passed, or to its end."""
    buffer = memoryview(bytearray(64 * 1024))
    passed = 0
    while count := content.readinto(buffer):
        passed += count
        if passed >= size:
            return


def _altered(data: bytes, fault: Fault) -> bytes:
    match fault.effect:
        case "short":
            return data[: fault.after]
        case "wrong":
            return data[:-1] + bytes([data[-1] ^ 1])
        case "long":
            return data + b"\0"
        case "raise":
            raise fault.exception()


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(descriptor: Descriptor) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)


def _layer_type(*, docker: bool, compress: bool) -> str:
    if docker:
        return media_types.DOCKER_LAYER_GZIP if compress else media_types.DOCKER_LAYER
    return media_types.OCI_LAYER_GZIP if compress else media_types.OCI_LAYER
