"""The files of evidence: objects that are named by the SHA-256 of their content.

An object is one zstd frame that states its size, in the file ``<64 hex>.zst``. It is written once
and never replaced: equal content of several bundles is one object.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import zstandard

from bundler.bundle.records.permissions import create_directory, get_file_mode
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    DamagedEvidenceError,
    IntegrityError,
    LimitError,
    MalformedError,
    MissingEvidenceError,
    MissingFileError,
    NotFoundError,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

T = TypeVar("T")
FOLDER = "evidence"
"""The directory of the objects in the records."""
SUFFIX = ".zst"
MAX_OBJECT = 64 * 1024 * 1024
"""The maximum size of an object in bytes, uncompressed."""
_LEVEL = 3


def encode(value: Mapping[str, Any]) -> bytes:
    """Encode an object as JSON, so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


class ObjectStore:
    """The objects of one site. Several threads may read at the same time.

    ``directory`` is None if there are no objects yet; its owner closes it.
    """

    def __init__(self, path: Path, directory: Directory | None) -> None:
        self.path = path
        self._directory = directory

    def add(self, raw: bytes) -> Digest:
        """Write an object, unless it exists; its name is durable only after ``sync``.

        Raises:
            LimitError: it is too large.
            DamagedEvidenceError: it exists, with other content.
            NoSpaceError, MediumError: it cannot be written.
        """
        assert self._directory is not None  # noqa: S101 - opened for writing
        digest = Digest.of(raw)
        if len(raw) > MAX_OBJECT:
            raise LimitError(
                f"evidence {digest}: too large (expected at most {MAX_OBJECT:,} bytes)"
            )
        try:
            self.read(digest)
        except MissingEvidenceError:
            compressed = zstandard.ZstdCompressor(level=_LEVEL).compress(raw)
            mode = get_file_mode(self._directory)
            with atomic_write.PartFile.create(self._directory, mode) as part:
                part.write(memoryview(compressed))
                part.publish(f"{digest.hex}{SUFFIX}", len(compressed))
        return digest

    def sync(self) -> None:
        """Make the names of all objects durable.

        Raises:
            MediumError: the synchronisation failed.
        """
        if self._directory is not None:
            atomic_write.sync_directory(self._directory)

    def read(self, digest: Digest) -> bytes:
        """Return the content of an object, which has this digest.

        Raises:
            MissingEvidenceError: there is no such object.
            DamagedEvidenceError: its content has another digest, or cannot be read.
            MediumError: the file cannot be read.
        """
        name = f"{digest.hex}{SUFFIX}"
        try:
            if self._directory is None:
                raise MissingFileError(name)
            with self._directory.open_file(name) as file:
                stored = file.read(min(file.size, MAX_OBJECT))
            if not 0 <= zstandard.frame_content_size(stored) <= MAX_OBJECT:
                raise MalformedError("states no size, or one that is not possible")
            raw = zstandard.ZstdDecompressor().decompress(stored, allow_extra_data=False)
            digest.verify(raw, "its content")
        except NotFoundError:
            raise MissingEvidenceError(f"{self.path / name}: missing", (digest.text,)) from None
        except (IntegrityError, zstandard.ZstdError) as error:
            path = self.path / name
            problem = "not one frame of zstd"
            if isinstance(error, IntegrityError):
                problem = error.message_without(f"{path}: ")
            raise DamagedEvidenceError(f"{path}: {problem}", (digest.text,)) from None
        return raw

    def list_names(self) -> set[str]:
        """Return the digits in the names of all objects."""
        names = self._directory.list_names() if self._directory is not None else []
        return {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}


class Unread(NamedTuple):
    """An object that cannot be read."""

    code: Literal["evidence-missing", "evidence-damaged"]
    text: str


def attempt(digest: Digest, read: Callable[[Digest], T]) -> T | Unread:
    """Return what ``read`` returns for an object; or why it is missing or damaged.

    Raises:
        MediumError: a file cannot be read.
    """
    try:
        return read(digest)
    except MissingEvidenceError as error:
        return Unread("evidence-missing", error.message)
    except IntegrityError as error:
        return Unread("evidence-damaged", error.message)


@contextmanager
def open_store(records: Path, *, create: bool = False) -> Iterator[ObjectStore]:
    """Open the objects in the directory of the records; ``create`` creates a missing directory.

    Raises:
        MalformedError: it is not a directory, or is a link.
        NoSpaceError, MediumError: it cannot be read or created.
    """
    with Directory.open(records) as top:
        if create:
            create_directory(top, FOLDER)
        try:
            folder = top.enter(FOLDER)
        except (NotFoundError, MissingFileError):
            yield ObjectStore(records / FOLDER, None)
            return
    with folder:
        yield ObjectStore(records / FOLDER, folder)
