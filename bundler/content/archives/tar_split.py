"""Record a layer's tar without file contents, and reassemble it byte for byte (tar-split).

The record is a gzip file of JSON lines in tar order: raw segments, and files with their sizes and
CRC-64 checksums.

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
from bundler.content.streams import Reader
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


class LineSink(Protocol):
    """Sink for the lines of a record."""

    def write(self, data: bytes, /) -> int:
        """Write all of ``data``."""
        ...

    def close(self) -> None:
        """End the record."""
        ...


class GzipLines:
    """Sink that writes the lines, compressed with gzip, to ``file``, whose owner closes it.

    Unlike ``gzip.GzipFile``, it writes nothing when it is discarded before ``close``.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._compressor = zlib.compressobj(1, wbits=31)

    def write(self, data: bytes, /) -> int:
        """Write all of ``data``."""
        self._file.write(self._compressor.compress(data))
        return len(data)

    def close(self) -> None:
        """Write the end of the record."""
        self._file.write(self._compressor.flush())


class SplitWriter:
    """Writer of the record of one tar.

    Args:
        lines: receives the lines of the record.
    """

    def __init__(self, lines: LineSink) -> None:
        self._lines = lines
        self._pending = bytearray()
        self._position = 0

    def write_raw(self, data: bytes | memoryview) -> None:
        """Record bytes that are not the content of a file."""
        self._pending += data
        if len(self._pending) > _LONGEST:
            self._flush()

    @contextmanager
    def start_file(self, name: str, size: int) -> Iterator[Callable[[memoryview], None]]:
        """Record a file of ``size`` bytes; pass its content to the returned callable."""
        crc = 0

        def update(data: memoryview) -> None:
            nonlocal crc
            crc = crc64.update(crc, data)

        yield update
        payload = base64_strict.encode(crc.to_bytes(8, "big"))
        self._write({"type": _FILE, **_format_name(name), "size": size, "payload": payload})

    def write_empty_file(self, name: str) -> None:
        """Record a member without content."""
        self._write({"type": _FILE, **_format_name(name), "payload": None})

    def close(self) -> None:
        """Complete the record."""
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


class AssembledTar(Reader):
    """The tar, reassembled from ``record`` and the files of the layer. For one thread.

    ``open_file`` opens the unpacked file of a tar member by name. The caller verifies the stream
    against the digest of the tar. ``close`` also closes ``record``.
    """

    def __init__(
        self, record: RegularFile, open_file: Callable[[str], RegularFile], subject: str
    ) -> None:
        self._record = record
        self._lines = gzip.GzipFile(fileobj=record, mode="rb")
        self._open_file = open_file
        self._subject = subject
        self._segment = memoryview(b"")
        self._file: RegularFile | None = None
        self._left = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            MalformedError: the record is damaged, or a file has changed.
        """
        if not len(buffer):
            return 0
        while not self._segment and not self._left:
            if not self._start_entry():
                return 0
        if self._segment:
            chunk, self._segment = self._segment[: len(buffer)], self._segment[len(buffer) :]
            buffer[: len(chunk)] = chunk
            return len(chunk)
        assert self._file is not None  # noqa: S101 - for the type checker
        count = self._file.readinto(buffer[: self._left])
        if not count:
            raise MalformedError(f"{self._file.path}: shorter than recorded")
        self._left -= count
        return count

    def skip(self, count: int) -> None:
        """Skip the next ``count`` bytes."""
        buffer = memoryview(bytearray(_LONGEST))
        while count and (got := self.readinto(buffer[:count])):
            count -= got

    def close(self) -> None:
        """Close all files."""
        self._close_file()
        self._lines.close()
        self._record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_entry(self) -> bool:
        self._close_file()
        try:
            line = self._lines.readline(_MAX_LINE)
        except BundlerError:
            raise
        except (OSError, EOFError, zlib.error) as error:
            raise MalformedError(f"{self._subject}: invalid tar-split record: {error}") from error
        if len(line) >= _MAX_LINE:
            raise LimitError(
                f"{self._subject}: line too long (expected at most {_MAX_LINE:,} bytes)"
            )
        if not line:
            return False
        entry = Table.parse(line, self._subject, limit=_MAX_LINE)
        match entry.value.get("type"):
            case 2:
                self._segment = memoryview(entry.base64("payload"))
            case 1:
                self._left = entry.integer("size", 0)
                if self._left:
                    name = entry.optional_text("name") or ""
                    if "name_raw" in entry:
                        name = os.fsdecode(entry.base64("name_raw"))
                    self._file = self._open_file(name)
            case _:
                raise MalformedError(f"{self._subject}: unknown entry type")
        return True

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _format_name(name: str) -> dict[str, str]:
    try:
        name.encode()
    except UnicodeEncodeError:
        return {"name_raw": base64_strict.encode(os.fsencode(name))}
    return {"name": name}
