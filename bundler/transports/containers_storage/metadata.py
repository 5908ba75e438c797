"""The records of a storage: images, layers and containers, in JSON files with a lock each.

``ImageRecord`` and ``LayerRecord`` are views of parsed JSON, whose unknown members are preserved.

https://github.com/containers/storage/blob/v1.59.1/images.go
https://github.com/containers/storage/blob/v1.59.1/layers.go
"""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bundler.content.files.atomic_write import write_bytes_in
from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.json import base64_strict, strict, timestamps
from bundler.oci.json.table import Table
from bundler.transports.containers_storage.lockfile import StorageLock, acquire_lock
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.content.compression.decompress import Compression

MANIFEST = "manifest"
"""Key of the item with an image's latest manifest; other keys are ``manifest-DIGEST``."""

COMPRESSIONS: dict[Compression | None, int] = {
    None: 0,
    "bzip2": 1,
    "gzip": 2,
    "xz": 3,
    "zstd": 4,
}
"""Numbers that represent compressions in the records of layers."""

_MAX_LIST = 512 * 1024 * 1024
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_PLAIN_KEY = frozenset("0123456789abcdefghijklmnopqrstuvwxyz.")

R = TypeVar("R")


class Record:
    """View of the record of an image or a layer, with a valid ID.

    Raises:
        MalformedError: a member has the wrong type, or an ID is invalid.
    """

    def __init__(self, value: dict[str, Any], subject: str) -> None:
        self.value = value
        """The record as parsed JSON."""
        self.table = Table(value, subject)
        self.id = _check_id(self.table.optional_text("id"), subject)

    def optional_id(self, key: str) -> str | None:
        """Return the ID of another record; None if it is absent."""
        text = self.table.optional_text(key)
        return None if text is None else _check_id(text, self.table.subject)


class ImageRecord(Record):
    """View of the record of an image."""

    def __init__(self, value: dict[str, Any], subject: str) -> None:
        super().__init__(value, subject)
        self.names = self.table.texts("names")
        self.top_layer = self.optional_id("layer")
        mapped_layers = self.table.texts("mapped-layers")
        self.mapped_layers = tuple(_check_id(layer, subject) for layer in mapped_layers)
        """IDs of copies of the top layer with mapped user IDs."""
        self.items = self.table.texts("big-data-names")
        """Keys of the image's items: manifests, the config, signatures."""
        self.sizes = self.table.table("big-data-sizes").value
        """Sizes of the image's items, by key."""

    @property
    def manifests(self) -> dict[str, str]:
        """Keys of the image's manifest items, by digest."""
        digests = self.table.text_map("big-data-digests")
        return {
            digest: key
            for key, digest in digests.items()
            if key == MANIFEST or key.startswith(f"{MANIFEST}-")
        }


class LayerRecord(Record):
    """View of the record of a layer."""

    def __init__(self, value: dict[str, Any], subject: str) -> None:
        super().__init__(value, subject)
        self.parent = self.optional_id("parent")
        self.diff_digest = self.table.optional_text("diff-digest")
        """Digest of the uncompressed tar."""
        is_unknown = value.get("diff-size") == -1
        self.diff_size = None if is_unknown else self.table.integer("diff-size", 0)
        """Size of the uncompressed tar; None if unknown."""
        self.compressed_digest = self.table.optional_text("compressed-diff-digest")
        """Digest of the blob that was unpacked."""
        self.compressed_size = self.table.integer("compressed-size", 0)
        self.complete = not self.table.table("flags").value.get("incomplete")

    @property
    def compression(self) -> Compression | None:
        """The compression of the blob that was unpacked."""
        recorded = self.value.get("compression", 0)
        return next((name for name, number in COMPRESSIONS.items() if number == recorded), None)


class RecordStore(Generic[R]):
    """All records of one kind: a directory with a lock and one or two JSON files.

    ``view`` creates the view of a record from its JSON and the subject for messages.
    """

    def __init__(
        self,
        directory: Path,
        kind: str,
        view: Callable[[dict[str, Any], str], R],
        cancellation: Cancellation,
    ) -> None:
        self.directory = directory
        self.kind = kind
        self.view = view
        self._cancellation = cancellation

    def read(self) -> list[R]:
        """Return all records; none if the directory does not exist.

        Raises:
            LockedError, MalformedError, MediumError: the records cannot be read.
        """
        if not self.directory.is_dir():
            return []
        with self._lock(write=False) as lock:
            return RecordTransaction(self, lock).records

    @contextmanager
    def edit(self) -> Iterator[RecordTransaction[R]]:
        """Lock the records for writing until the block ends; ``save`` writes the changes.

        Raises:
            LockedError, MalformedError, MediumError: the records cannot be locked or read.
        """
        with self._lock(write=True) as lock:
            yield RecordTransaction(self, lock)

    def _lock(self, *, write: bool) -> AbstractContextManager[StorageLock]:
        return acquire_lock(self.directory / f"{self.kind}.lock", self._cancellation, write=write)


class RecordTransaction(Generic[R]):
    """The records of a store while their lock is held."""

    def __init__(self, store: RecordStore[R], lock: StorageLock) -> None:
        self._store = store
        self._lock = lock
        self._files: dict[str, list[dict[str, Any]]] = {}
        """The records by file. Records that do not survive a reboot are in a separate file."""
        self._saved: dict[str, bytes] = {}
        with Directory.open(store.directory) as directory:
            for name in (f"{store.kind}.json", f"volatile-{store.kind}.json"):
                try:
                    raw = directory.read(name, limit=_MAX_LIST) or b"[]"
                except NotFoundError:
                    raw = b"[]"
                subject = str(store.directory / name)
                values = strict.loads(raw, subject=subject, limit=_MAX_LIST, max_tokens=_MAX_LIST)
                tables = Table({store.kind: values}, subject).tables(store.kind)
                self._files[name] = [dict(table.value) for table in tables]
                self._saved[name] = raw

    @property
    def records(self) -> list[R]:
        """All records; the caller may modify their JSON."""
        return [
            self._store.view(value, str(self._store.directory / name))
            for name, values in self._files.items()
            for value in values
        ]

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
                if values != (json.loads(self._saved[name]) or []):
                    raw = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
                    self._lock.touch()
                    write_bytes_in(directory, name, raw, mode=0o600)
                    self._saved[name] = raw


def encode_item_key(key: str) -> str:
    """Return the file name that containers/storage derives from the key of an item."""
    return key if set(key) <= _PLAIN_KEY else "=" + base64_strict.encode(key.encode())


def store_items(directory: Path, record: dict[str, Any], items: dict[str, bytes]) -> None:
    """Write items to the ``directory`` of an image, and list them in its record.

    Items with the same keys are replaced.

    Raises:
        MediumError, NoSpaceError: some items were not written; the record is unchanged.
    """
    with convert_os_errors(directory, "cannot create"):
        directory.mkdir(0o700, exist_ok=True)
    with Directory.open(directory) as opened:
        for key, data in items.items():
            write_bytes_in(opened, encode_item_key(key), data, mode=0o600)
    digests = {key: Digest.of(data).text for key, data in items.items()}
    sizes = {key: len(data) for key, data in items.items()}
    keys = dict.fromkeys([*(record.get("big-data-names") or ()), *items])
    record |= {
        "digest": digests.get(MANIFEST, record.get("digest")),
        "big-data-names": list(keys),
        "big-data-sizes": (record.get("big-data-sizes") or {}) | sizes,
        "big-data-digests": (record.get("big-data-digests") or {}) | digests,
    }


def format_time(text: str | None = None) -> str:
    """Return ``text`` if all tools can parse it as a time, else the current time.

    One invalid time in a list of records makes the list unreadable for other tools.
    """
    with suppress(ValueError):
        if text is not None and (matched := _TIME.fullmatch(text)):
            datetime.fromisoformat(f"{matched[1]}+00:00")
            return text
    return timestamps.format_nanoseconds(time.time_ns())


def _check_id(text: str | None, subject: str) -> str:
    """Return ``text`` if it is a valid ID, which is safe to use as a directory name."""
    if text is None or len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise MalformedError(
            f"{subject}: {str(text)[:80]!r} is not a valid ID (expected 64 hexadecimal digits)"
        )
    return text
