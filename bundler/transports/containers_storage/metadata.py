"""The records of a storage: images, layers and containers, in JSON files with a lock each.

Records are kept as parsed JSON, so that unknown members are preserved.
``ImageRecord`` and ``LayerRecord`` are views of them.

https://github.com/containers/storage/blob/v1.59.1/images.go
https://github.com/containers/storage/blob/v1.59.1/layers.go
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.files.atomic_write import write_bytes_in
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.json import base64_strict, strict, timestamps
from bundler.oci.json.table import Table
from bundler.transports.containers_storage.lockfile import StorageLock, acquire_lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.content.compression.decompress import Compression

MANIFEST = "manifest"
"""Key of the item with an image's latest manifest; the key of any other is ``manifest-DIGEST``."""

COMPRESSIONS: dict[Compression | None, int] = {
    None: 0,
    "bzip2": 1,
    "gzip": 2,
    "xz": 3,
    "zstd": 4,
}
"""The numbers of the compressions in the records of layers."""

_MAX_LIST = 512 * 1024 * 1024
_PLAIN_KEY = frozenset("0123456789abcdefghijklmnopqrstuvwxyz.")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """View of the record of an image."""

    value: dict[str, Any]
    """The record as parsed JSON."""
    id: str
    names: tuple[str, ...]
    top_layer: str | None
    mapped_layers: tuple[str, ...]
    """Copies of the top layer with other user IDs."""
    items: tuple[str, ...]
    """The keys of its items: manifests, the config, signatures."""
    sizes: dict[str, Any]
    """The sizes of its items."""

    @classmethod
    def parse(cls, value: dict[str, Any], subject: str) -> ImageRecord:
        """Validate a record.

        Raises:
            MalformedError: a member has the wrong type, or an ID is invalid.
        """
        table = Table(value, subject)
        top = table.optional_text("layer")
        return cls(
            value,
            parse_id(table.optional_text("id"), subject),
            table.texts("names"),
            None if top is None else parse_id(top, subject),
            tuple(parse_id(layer, subject) for layer in table.texts("mapped-layers")),
            table.texts("big-data-names"),
            dict(table.table("big-data-sizes").value),
        )

    @property
    def manifests(self) -> dict[str, str]:
        """The keys of the items with its manifests, by digest."""
        digests = Table(self.value, self.id).text_map("big-data-digests")
        return {
            digest: key
            for key, digest in digests.items()
            if key == MANIFEST or key.startswith(f"{MANIFEST}-")
        }


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """View of the record of a layer."""

    value: dict[str, Any]
    """The record as parsed JSON."""
    id: str
    parent: str | None
    diff_digest: str | None
    """Digest of the uncompressed tar."""
    diff_size: int
    """Size of the uncompressed tar; -1 if unknown."""
    compressed_digest: str | None
    """Digest of the blob that was unpacked."""
    compressed_size: int
    complete: bool

    @property
    def compression(self) -> Compression | None:
        """The compression of the blob that was unpacked."""
        recorded = self.value.get("compression", 0)
        return next((name for name, number in COMPRESSIONS.items() if number == recorded), None)

    @classmethod
    def parse(cls, value: dict[str, Any], subject: str) -> LayerRecord:
        """Validate a record.

        Raises:
            MalformedError: a member has the wrong type, or an ID is invalid.
        """
        table = Table(value, subject)
        parent = table.optional_text("parent")
        return cls(
            value,
            parse_id(table.optional_text("id"), subject),
            None if parent is None else parse_id(parent, subject),
            table.optional_text("diff-digest"),
            -1 if value.get("diff-size") == -1 else table.integer("diff-size", 0),
            table.optional_text("compressed-diff-digest"),
            table.integer("compressed-size", 0),
            not table.table("flags").value.get("incomplete"),
        )


class RecordStore:
    """All records of one kind: a directory with a lock and one or two JSON files."""

    def __init__(self, directory: Path, kind: str, cancellation: Cancellation) -> None:
        self.directory = directory
        self.kind = kind
        self._cancellation = cancellation

    def read(self) -> list[dict[str, Any]]:
        """Return all records; none if the directory does not exist.

        Raises:
            LockedError, MalformedError, MediumError: the records cannot be read.
        """
        if not self.directory.is_dir():
            return []
        with self._lock(write=False):
            return [value for _, values in self._load() for value in values]

    @contextmanager
    def edit(self) -> Iterator[RecordTransaction]:
        """Lock the records for writing until the block ends; ``save`` writes the changes.

        Raises:
            LockedError, MalformedError, MediumError: the records cannot be locked or read.
        """
        with self._lock(write=True) as lock:
            yield RecordTransaction(self, lock, dict(self._load()))

    def _lock(self, *, write: bool) -> AbstractContextManager[StorageLock]:
        return acquire_lock(self.directory / f"{self.kind}.lock", self._cancellation, write=write)

    def _load(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield the records by file. Records that need not survive a reboot have their own file."""
        with Directory.open(self.directory) as directory:
            for name in (f"{self.kind}.json", f"volatile-{self.kind}.json"):
                try:
                    raw = directory.read(name, limit=_MAX_LIST)
                except NotFoundError:
                    yield name, []
                    continue
                subject = str(self.directory / name)
                values = strict.loads(raw or b"[]", subject=subject, limit=_MAX_LIST)
                tables = Table({self.kind: values}, subject).tables(self.kind)
                yield name, [dict(table.value) for table in tables]


class RecordTransaction:
    """The records while their lock is held for writing."""

    def __init__(
        self, store: RecordStore, lock: StorageLock, files: dict[str, list[dict[str, Any]]]
    ) -> None:
        self._store = store
        self._lock = lock
        self._files = files
        self._saved = {name: _encode(values) for name, values in files.items()}

    @property
    def values(self) -> list[dict[str, Any]]:
        """All records; the caller may change them."""
        return [value for values in self._files.values() for value in values]

    def add(self, value: dict[str, Any]) -> None:
        """Add a record."""
        self._files[f"{self._store.kind}.json"].append(value)

    def remove(self, ids: Collection[str]) -> None:
        """Remove records by ID."""
        for values in self._files.values():
            values[:] = [value for value in values if value.get("id") not in ids]

    def save(self) -> None:
        """Write the records durably, and announce the change to other processes.

        Raises:
            MediumError, NoSpaceError: the former records are kept.
        """
        with Directory.open(self._store.directory) as directory:
            for name, values in self._files.items():
                raw = _encode(values)
                if raw != self._saved.get(name, b"[]"):
                    self._lock.touch()
                    write_bytes_in(directory, name, raw, mode=0o600)
                    self._saved[name] = raw


def parse_id(text: str | None, subject: str) -> str:
    """Validate an ID; the result is safe to use as the name of a directory.

    Raises:
        MalformedError: ``text`` is not an ID.
    """
    if text is None or len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise MalformedError(f"{subject}: {str(text)[:80]!r} is not an ID of 64 hexadecimal digits")
    return text


def encode_item_key(key: str) -> str:
    """Return the file name of an item, as containers/storage derives it from the key."""
    return key if set(key) <= _PLAIN_KEY else "=" + base64_strict.encode(key.encode())


def read_item(directory: Path, image: str, key: str) -> bytes:
    """Read an item of an image; ``directory`` contains the records of the images.

    Raises:
        NotFoundError, LimitError, MediumError: the item cannot be read.
    """
    with Directory.open(directory / image) as items:
        return items.read(encode_item_key(key), limit=strict.MAX_DOCUMENT)


def write_items(directory: Path, image: str, items: dict[str, bytes]) -> None:
    """Write items of an image, replacing those with the same keys.

    Raises:
        MediumError, NoSpaceError: some items were not written.
    """
    path = directory / image
    try:
        path.mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot create") from error
    with Directory.open(path) as image_directory:
        for key, data in items.items():
            write_bytes_in(image_directory, encode_item_key(key), data, mode=0o600)


def create_image_record(image: str, top_layer: str | None, created: str | None) -> dict[str, Any]:
    """Create the record of an image without names and items."""
    value: dict[str, Any] = {"id": image}
    if top_layer is not None:
        value["layer"] = top_layer
    return value | {"created": created or format_current_time()}


def add_items(value: dict[str, Any], items: dict[str, bytes]) -> dict[str, Any]:
    """Return a copy of the record of an image, with ``items`` added."""
    digests = {key: Digest.of(data).text for key, data in items.items()}
    names = dict.fromkeys([*(value.get("big-data-names") or ()), *items])
    return value | {
        "digest": digests.get(MANIFEST, value.get("digest")),
        "big-data-names": list(names),
        "big-data-sizes": (value.get("big-data-sizes") or {})
        | {key: len(data) for key, data in items.items()},
        "big-data-digests": (value.get("big-data-digests") or {}) | digests,
    }


def format_current_time() -> str:
    """Return the current time in the format of the records."""
    return timestamps.format_nanoseconds(time.time_ns())


def _encode(values: list[dict[str, Any]]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
