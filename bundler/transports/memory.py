"""Images that live in dictionaries, with faults on demand: what tests copy from and to.

A ``MemoryStore`` is the place; ``source()`` and ``destination()`` open it as any other transport
is opened, and ``add_image``, ``add_index`` and ``add_artifact`` fill it. It is not reachable by a
name on the command line.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import InvalidReferenceError, MediumError, NotFoundError
from bundler.oci import media_types
from bundler.oci.descriptor import EMPTY_CONFIG, EMPTY_DESCRIPTOR, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.ports import Accepts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.content.reader import Content, Reader
    from bundler.ports import Node, Options, Publication

_LINUX = Platform("linux", "amd64")


@dataclass(frozen=True, slots=True)
class MemoryReference:
    """``memory:NAME``, or ``memory:`` for the only image."""

    name: str | None = None
    transport: str = "memory"

    def __str__(self) -> str:
        return f"memory:{self.name or ''}"


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    Operations are ``resolve``, ``open``, ``read`` (of an opened stream), ``push`` and ``commit``.
    ``short`` ends a stream early, ``wrong`` flips its last bit, ``long`` adds a byte; ``raise``
    raises ``error``. The fault strikes from the ``nth`` matching operation on, ``times`` times.
    """

    on: Literal["resolve", "open", "read", "push", "commit"]
    effect: Literal["raise", "short", "wrong", "long"] = "raise"
    digest: Digest | None = None
    """Only for this content; None: for any."""
    nth: int = 1
    times: int = 1
    after: int = 0
    """With ``read``, ``push`` and ``short``: how many bytes go by first."""
    error: Exception | None = None

    def strikes(self, on: str, digest: Digest | None) -> bool:
        """Whether this operation fails; counts it."""
        if on != self.on or (self.digest is not None and digest != self.digest) or not self.times:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.times -= 1
        return True

    def exception(self) -> Exception:
        """What to raise."""
        return self.error or MediumError(f"memory: {self.on} fails on demand")


class MemoryStore:
    """Blobs by digest and names, as a place that many sources and destinations may share."""

    def __init__(self, *faults: Fault) -> None:
        self.blobs: dict[Digest, bytes] = {}
        self.names: dict[str | None, Descriptor] = {}
        self.faults = list(faults)
        self.log: list[str] = []
        """``resolve NAME``, ``open DIGEST@OFFSET``, ``push DIGEST``, ``commit NAME``, in order."""
        self._lock = threading.Lock()

    def source(self) -> MemorySource:
        """Open the store for reading."""
        return MemorySource(self)

    def destination(self, accepts: Accepts | None = None) -> MemoryDestination:
        """Open the store for writing."""
        return MemoryDestination(self, accepts or Accepts())

    def transport(self) -> MemoryTransport:
        """What opens this store by reference."""
        return MemoryTransport(self)

    def add_blob(self, data: bytes, *, algorithm: str = "sha256") -> Digest:
        """Keep ``data``."""
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
        import gzip  # noqa: PLC0415 - only for making images

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
        """Make an artifact with the empty config, which refers to ``subject`` if there is one."""
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
        """The fault that strikes this operation, if one does."""
        with self._lock:
            return next((fault for fault in self.faults if fault.strikes(on, digest)), None)

    def fail(self, on: str, digest: Digest | None = None) -> None:
        """Raise what a fault says about this operation."""
        fault = self.fault(on, digest)
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


class MemorySource:
    """Reads a store; lists its names and referrers too."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The root called ``name``; without one, the only root."""
        self._store.note(f"resolve {name}")
        self._store.fail("resolve")
        names = self._store.names
        if name is None and len(names) == 1:
            return next(iter(names.values()))
        if name not in names:
            raise NotFoundError(f"memory: no image {name!r}, there are {self.tags()}")
        return names[name]

    def open(self, target: Node, /, offset: int = 0) -> _Stream:
        """The bytes of ``target``, spoiled as a fault asks for."""
        return _open(self._store, target, offset)

    def tags(self) -> list[str]:
        """Every name."""
        return [name for name in self._store.names if name is not None]

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Every manifest in the store whose ``subject`` is that one."""
        found = []
        for digest, raw in list(self._store.blobs.items()):
            value = _manifest(raw)
            if value.get("subject", {}).get("digest") == subject.text:
                kind = value.get("artifactType") or value.get("config", {}).get("mediaType")
                found.append(Descriptor(value["mediaType"], digest, len(raw), artifact_type=kind))
        return found

    def close(self) -> None:
        """Nothing is held."""


class MemoryDestination:
    """Writes a store; what it holds can be read back."""

    def __init__(self, store: MemoryStore, accepts: Accepts) -> None:
        self._store = store
        self._accepts = accepts

    @property
    def accepts(self) -> Accepts:
        """What the test said."""
        return self._accepts

    def has(self, target: Node, /) -> bool:
        """Whether the digest is there, with that size if one is told."""
        data = None if target.digest is None else self._store.blobs.get(target.digest)
        return data is not None and target.size in (None, len(data))

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Keep all of ``content``."""
        fault = self._store.fault("push", target.digest)
        buffer = memoryview(bytearray(64 * 1024))
        data = bytearray()
        while count := content.readinto(buffer):
            data += buffer[:count]
            if fault is not None and len(data) >= fault.after:
                raise fault.exception()
        if fault is not None:
            raise fault.exception()
        stored = content.descriptor()
        self._store.blobs[stored.digest] = bytes(data)
        self._store.note(f"push {stored.digest}")
        return Descriptor(target.media_type, stored.digest, stored.size)

    def open(self, target: Node, /, offset: int = 0) -> _Stream:
        """As the source's."""
        return _open(self._store, target, offset)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Set every name; without one, the name None."""
        self._store.fail("commit")
        for image in images:
            for name in image.names or (None,):
                self._store.names[name] = image.root
                self._store.note(f"commit {name}")

    def close(self) -> None:
        """Nothing is held."""


class MemoryTransport:
    """Opens one store, whatever the reference says."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def parse(self, text: str, /) -> MemoryReference:
        """Any text is a name; none is the only image."""
        if "\n" in text:
            raise InvalidReferenceError(f"{text[:80]!r} is not a name in memory")
        return MemoryReference(text or None)

    def source(self, reference: MemoryReference, options: Options, /) -> MemorySource:  # noqa: ARG002 - the port's form
        """The store, for reading."""
        return self._store.source()

    def destination(self, reference: MemoryReference, options: Options, /) -> MemoryDestination:  # noqa: ARG002 - the port's form
        """The store, for writing."""
        return self._store.destination()


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
        """Nothing is held."""

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


def _open(store: MemoryStore, target: Node, offset: int) -> _Stream:
    store.note(f"open {target.digest}@{offset}")
    data = None if target.digest is None else store.blobs.get(target.digest)
    if data is None or target.digest is None:
        raise NotFoundError(f"memory: no blob {target.digest}")
    fault = store.fault("open", target.digest)
    if fault is not None:
        data = _spoiled(data, fault)
    return _Stream(store, target.digest, data[offset:])


def _spoiled(data: bytes, fault: Fault) -> bytes:
    match fault.effect:
        case "short":
            return data[: fault.after]
        case "wrong":
            return data[:-1] + bytes([data[-1] ^ 1])
        case "long":
            return data + b"\0"
        case "raise":
            raise fault.exception()


def _manifest(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw) if raw[:1] == b"{" else None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _compact(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _plain(descriptor: Descriptor) -> Descriptor:
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size)


def _layer_type(*, docker: bool, compress: bool) -> str:
    if docker:
        return media_types.DOCKER_LAYER_GZIP if compress else media_types.DOCKER_LAYER
    return media_types.OCI_LAYER_GZIP if compress else media_types.OCI_LAYER
