"""What is left of a layer's tar once its files lie in a tree, and the way back to the same bytes.

Lines of JSON in a gzip file: segments of bytes, and files with their size and CRC-64, in order.

https://github.com/vbatts/tar-split/blob/v0.12.1/tar/storage/entry.go
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Self

from bundler.content.archives import crc64
from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci.json import base64_strict
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from bundler.content.files.safe_directory import RegularFile

_FILE, _SEGMENT = 1, 2
_LONGEST = 1024 * 1024
_MAX_LINE = 32 * 1024 * 1024


class FileLookup(Protocol):
    """Where the files of a layer lie."""

    def open_file(self, name: str) -> RegularFile:
        """The plain file that the tar calls ``name``."""
        ...


class LineSink(Protocol):
    """What takes the lines of a record."""

    def write(self, data: bytes, /) -> int:
        """Take all of ``data``."""
        ...

    def close(self) -> None:
        """There are no more."""
        ...


class SplitWriter:
    """Writes the record of one tar into ``file``, whose owner closes it after ``close``.

    Args:
        file: gets the record in gzip.
        lines: gets its lines as they are, in the place of ``file``.
    """

    def __init__(self, file: BinaryIO | None, lines: LineSink | None = None) -> None:
        self._lines = lines or gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0)
        self._pending = bytearray()
        self._position = 0

    def write_raw(self, data: bytes | memoryview) -> None:
        """Bytes that are no file's content."""
        self._pending += data
        if len(self._pending) > _LONGEST:
            self._flush()

    @contextmanager
    def start_file(self, name: str, size: int) -> Iterator[Callable[[memoryview], None]]:
        """A file of ``size`` bytes; its content has to be shown to what this yields."""
        crc = 0

        def see(data: memoryview) -> None:
            nonlocal crc
            crc = crc64.update(crc, data)

        yield see
        payload = base64_strict.encode(crc.to_bytes(8, "big"))
        self._write({"type": _FILE, **_named(name), "size": size, "payload": payload})

    def write_empty_file(self, name: str) -> None:
        """A member without content."""
        self._write({"type": _FILE, **_named(name), "payload": None})

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._lines.close()

    def _flush(self) -> None:
        if self._pending:
            self._write({"type": _SEGMENT, "payload": base64_strict.encode(self._pending)})
            self._pending.clear()

    def _write(self, entry: dict[str, Any]) -> None:
        if self._pending and entry["type"] != _SEGMENT:
            self._flush()
        entry["position"] = self._position
        self._position += 1
        self._lines.write(json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode())
        self._lines.write(b"\n")


class AssembledTar:
    """The tar whose record is ``record`` and whose files lie in ``files``, as a stream.

    Nothing is verified here: whoever reads it knows the digest. A context manager that closes what
    it opened, ``record`` too. Not for two threads at once.
    """

    def __init__(self, record: RegularFile, files: FileLookup, subject: str) -> None:
        self._record = record
        self._lines = gzip.GzipFile(fileobj=record, mode="rb")
        self._files = files
        self._what = subject
        self._segment = memoryview(b"")
        self._file: RegularFile | None = None
        self._left = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end.

        Raises:
            MalformedError: the record is damaged, or a file is not there as it was.
        """
        if not len(buffer):
            return 0
        while not self._segment and not self._left:
            if not self._next():
                return 0
        if self._segment:
            chunk, self._segment = self._segment[: len(buffer)], self._segment[len(buffer) :]
            buffer[: len(chunk)] = chunk
            return len(chunk)
        assert self._file is not None  # noqa: S101 - for the type checker
        count = self._file.readinto(buffer[: self._left])
        if not count:
            raise MalformedError(f"{self._file.path}: shorter than it was")
        self._left -= count
        return count

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_LONGEST), b""))
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def skip(self, count: int) -> None:
        """Go on behind the next ``count`` bytes."""
        buffer = memoryview(bytearray(_LONGEST))
        while count and (got := self.readinto(buffer[:count])):
            count -= got

    def close(self) -> None:
        """Let go of all files."""
        self._close_file()
        self._lines.close()
        self._record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> bool:
        self._close_file()
        line = self._line()
        if not line:
            return False
        entry = Table.parse(line, self._what, limit=_MAX_LINE)
        match entry.value.get("type"):
            case 2:
                self._segment = memoryview(entry.base64("payload"))
            case 1:
                self._left = entry.integer("size", 0)
                if self._left:
                    self._file = self._files.open_file(_read_name(entry))
            case _:
                raise MalformedError(f"{self._what}: an entry of an unknown type")
        return True

    def _line(self) -> bytes:
        try:
            line = self._lines.readline(_MAX_LINE)
        except BundlerError:
            raise
        except (OSError, EOFError, zlib.error) as error:
            raise MalformedError(f"{self._what}: not a record of a layer: {error}") from error
        if len(line) >= _MAX_LINE:
            raise LimitError(f"{self._what}: a line of more than {_MAX_LINE:,} bytes")
        return line

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _named(name: str) -> dict[str, str]:
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"name_raw": base64_strict.encode(os.fsencode(name))}
    return {"name": name}


def _read_name(entry: Table) -> str:
    if "name_raw" in entry:
        return os.fsdecode(entry.base64("name_raw"))
    return entry.optional_text("name") or ""
