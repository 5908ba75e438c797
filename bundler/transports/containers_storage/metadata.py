"""The three lists of a storage (images, layers, containers), as JSON files under their locks.

Records are kept as they were read, so that members of other versions survive; what this program
understands of one is a view of it.

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
from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.json import base64_strict, strict, timestamps
from bundler.oci.json.table import Table
from bundler.transports.containers_storage import lockfile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.content.compression.decompress import Compression

MAX_LIST = 512 * 1024 * 1024
MANIFEST = "manifest"
"""The item that holds an image's latest manifest; ``manifest-DIGEST`` holds the one of a digest."""

COMPRESSIONS: dict[Compression | None, int] = {
    None: 0,
    "bzip2": 1,
    "gzip": 2,
    "xz": 3,
    "zstd": 4,
}
"""The numbers that stand for them in the records of layers."""

_PLAIN_KEY = frozenset("0123456789abcdefghijklmnopqrstuvwxyz.")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image; ``value`` is the truth, the rest are views of it."""

    value: dict[str, Any]
    id: str
    names: tuple[str, ...]
    top_layer: str | None
    mapped_layers: tuple[str, ...]
    items: tuple[str, ...]
    sizes: dict[str, Any]

    @classmethod
    def of(cls, value: dict[str, Any], what: str) -> ImageRecord:
        """Read a record.

        Raises:
            MalformedError: a member has the wrong type, or an id would lead elsewhere.
        """
        table = Table(value, what)
        top = table.optional_text("layer")
        return cls(
            value,
            checked_id(table.optional_text("id"), what),
            table.texts("names"),
            None if top is None else checked_id(top, what),
            tuple(checked_id(one, what) for one in table.texts("mapped-layers")),
            table.texts("big-data-names"),
            dict(table.table("big-data-sizes").value),
        )

    @property
    def manifests(self) -> dict[str, str]:
        """The item that holds each of its manifests, by digest."""
        digests = Table(self.value, self.id).text_map("big-data-digests")
        return {
            digest: key
            for key, digest in digests.items()
            if key == MANIFEST or key.startswith(f"{MANIFEST}-")
        }


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One layer; ``value`` is the truth, the rest are views of it."""

    value: dict[str, Any]
    id: str
    parent: str | None
    diff_digest: str | None
    """Of the uncompressed tar."""
    diff_size: int
    compressed_digest: str | None
    """Of the blob it came as."""
    compressed_size: int
    complete: bool

    @property
    def compression(self) -> Compression | None:
        """How that blob was compressed."""
        kind = self.value.get("compression", 0)
        return next((name for name, number in COMPRESSIONS.items() if number == kind), None)

    @classmethod
    def of(cls, value: dict[str, Any], what: str) -> LayerRecord:
        """Read a record.

        Raises:
            MalformedError: a member has the wrong type, or an id would lead elsewhere.
        """
        table = Table(value, what)
        parent = table.optional_text("parent")
        return cls(
            value,
            checked_id(table.optional_text("id"), what),
            None if parent is None else checked_id(parent, what),
            table.optional_text("diff-digest"),
            -1 if value.get("diff-size") == -1 else table.integer("diff-size", 0),
            table.optional_text("compressed-diff-digest"),
            table.integer("compressed-size", 0),
            not table.table("flags").value.get("incomplete"),
        )


class RecordStore:
    """One kind of records: a directory, its lock, and one or two JSON files in it."""

    def __init__(self, folder: Path, kind: str, stop: Cancellation) -> None:
        self.folder = folder
        self.kind = kind
        self._stop = stop

    def read(self) -> list[dict[str, Any]]:
        """All records, under the lock for as long as it takes to read them; none: no directory.

        Raises:
            LockedError, MalformedError, MediumError: they cannot be read.
        """
        if not self.folder.is_dir():
            return []
        with self._locked(write=False):
            return [value for _, values in self._load() for value in values]

    @contextmanager
    def changing(self) -> Iterator[RecordTransaction]:
        """Hold the lock alone; what ``save`` is given is there for everybody afterwards.

        Raises:
            LockedError, MalformedError, MediumError: they cannot be read or locked.
        """
        with self._locked(write=True) as lock:
            changes = RecordTransaction(self, lock, dict(self._load()))
            yield changes

    def _locked(self, *, write: bool) -> AbstractContextManager[lockfile.Lock]:
        return lockfile.held(self.folder / f"{self.kind}.lock", self._stop, write=write)

    def _load(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Each file's records; what was made to be forgotten lies in a file of its own."""
        with Directory.open(self.folder) as folder:
            for name in (f"{self.kind}.json", f"volatile-{self.kind}.json"):
                try:
                    raw = folder.read(name, limit=MAX_LIST)
                except NotFoundError:
                    yield name, []
                    continue
                what = str(self.folder / name)
                values = strict.loads(raw or b"[]", subject=what, limit=MAX_LIST)
                tables = Table({self.kind: values}, what).tables(self.kind)
                yield name, [dict(table.value) for table in tables]


class RecordTransaction:
    """The records while their lock is held alone."""

    def __init__(
        self, owner: RecordStore, lock: lockfile.Lock, files: dict[str, list[dict[str, Any]]]
    ) -> None:
        self._owner = owner
        self._lock = lock
        self._files = files
        self._saved = {name: _dumped(values) for name, values in files.items()}

    @property
    def values(self) -> list[dict[str, Any]]:
        """All records."""
        return [value for values in self._files.values() for value in values]

    def add(self, value: dict[str, Any]) -> None:
        """One more record."""
        self._files[f"{self._owner.kind}.json"].append(value)

    def drop(self, ids: Collection[str]) -> None:
        """Records less."""
        for values in self._files.values():
            values[:] = [value for value in values if value.get("id") not in ids]

    def save(self) -> None:
        """Make the records durable as they are now, and tell the others.

        Raises:
            MediumError, NoSpaceError: the former ones stay.
        """
        with Directory.open(self._owner.folder) as folder:
            for name, values in self._files.items():
                raw = _dumped(values)
                if raw != self._saved.get(name, b"[]"):
                    self._lock.touch()
                    write_bytes_in(folder, name, raw, mode=0o600)
                    self._saved[name] = raw


def checked_id(text: str | None, what: str) -> str:
    """An id as it becomes the name of a directory.

    Raises:
        MalformedError: it is none.
    """
    if text is None or len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise MalformedError(f"{what}: {str(text)[:80]!r} is not an id of 64 hexadecimal digits")
    return text


def item_file(key: str) -> str:
    """The name of the file that holds the item ``key`` of an image."""
    return key if set(key) <= _PLAIN_KEY else "=" + base64_strict.encode(key.encode())


def read_item(folder: Path, image: str, key: str) -> bytes:
    """An item of an image whose records lie in ``folder``.

    Raises:
        NotFoundError, LimitError, MediumError: it cannot be read.
    """
    with Directory.open(folder / image) as opened:
        return opened.read(item_file(key), limit=strict.MAX_DOCUMENT)


def write_items(folder: Path, image: str, items: dict[str, bytes]) -> None:
    """Store items of an image, replacing those of the same keys.

    Raises:
        MediumError, NoSpaceError: not all of them are stored.
    """
    try:
        (folder / image).mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise explained(error, folder / image, "cannot make this directory") from error
    with Directory.open(folder / image) as opened:
        for key, data in items.items():
            write_bytes_in(opened, item_file(key), data, mode=0o600)


def new_image(image: str, top_layer: str | None, created: str | None) -> dict[str, Any]:
    """A record without names and items, its members in the usual order."""
    value: dict[str, Any] = {"id": image}
    if top_layer is not None:
        value["layer"] = top_layer
    return value | {"created": created or now()}


def with_items(value: dict[str, Any], items: dict[str, bytes]) -> dict[str, Any]:
    """The record of an image that now has ``items`` too."""
    digests = {key: Digest.of(data).text for key, data in items.items()}
    names = dict.fromkeys([*(value.get("big-data-names") or ()), *items])
    return value | {
        "digest": digests.get(MANIFEST, value.get("digest")),
        "big-data-names": list(names),
        "big-data-sizes": (value.get("big-data-sizes") or {})
        | {key: len(data) for key, data in items.items()},
        "big-data-digests": (value.get("big-data-digests") or {}) | digests,
    }


def now() -> str:
    """The time as records have it."""
    return timestamps.format_nanoseconds(time.time_ns())


def _dumped(values: list[dict[str, Any]]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
