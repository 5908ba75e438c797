"""Make zstd of a tar in such a way that each of its files can be had alone.

    frames of headers and padding, and one frame for each file's content
    skippable frame: the table of contents (JSON, zstd): each entry, and where its frame lies
    skippable frame: what is left of the tar without its files (tar-split's form, zstd)
    skippable frame: where the two others lie

Any decompressor reads the whole as the tar. A file is one chunk here, however large it is.

https://github.com/containers/storage/blob/v1.59.0/pkg/chunked/internal/minimal/compression.go
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
from typing import TYPE_CHECKING, Any

import zstandard

from bundler.content.archives.tar_split import SplitWriter
from bundler.content.archives.tar_stream import TarEntries
from bundler.errors import LimitError
from bundler.oci.json import base64_strict, timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bundler.content.archives.tar_stream import TarEntry
    from bundler.content.streams.reader import Reader

_PREFIX = "io.github.containers.zstd-chunked."
CHECKSUM = _PREFIX + "manifest-checksum"
POSITION = _PREFIX + "manifest-position"
SPLIT_POSITION = _PREFIX + "tarsplit-position"

_WHAT = "the layer's tar"
_SKIPPABLE = 0x184D2A50
_FOOTER_MAGIC = b"GNUlInUx"
_TYPE = 1
_GAP = 1024 * 1024
_MAX_WAITING = 64 * 1024 * 1024
_TYPES = {
    0: "hardlink",
    stat.S_IFREG: "reg",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFDIR: "dir",
    stat.S_IFIFO: "fifo",
}


class ChunkedEncoder:
    """The form above of the tar ``source``, whose owner closes it. For one thread.

    What is kept in memory until the end grows with the number of files, not with their size.
    """

    def __init__(self, source: Reader, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level)
        self._gaps = _NonContent(self._zstd)
        self._contents = _CompressedLines()
        self._entries = TarEntries(source, self._gaps, _WHAT)
        self._position = 0
        self._said: dict[str, str] = {}

    def pieces(self) -> Iterator[bytes]:
        """The compressed stream.

        Raises:
            MalformedError: ``source`` is no tar.
            LimitError: too much in it is no content.
        """
        for piece in self._frames():
            self._position += len(piece)
            yield piece

    def annotations(self) -> Mapping[str, str]:
        """Where the table of contents lies, and its digest; after the end."""
        return self._said

    def close(self) -> None:
        """Nothing is held but memory."""

    def _frames(self) -> Iterator[bytes]:
        separator = '{"version":1,"entries":['
        for entry in self._entries:
            member = _member(entry)
            if entry.size:
                yield self._gaps.taken()
                member["offset"] = self._position
                digest = hashlib.sha256()
                yield from self._content(entry, digest.update)
                member["digest"] = f"sha256:{digest.hexdigest()}"
                member["endOffset"] = self._position
            else:
                self._gaps.write_empty_file(entry.name)
            self._contents.write((separator + json.dumps(member, separators=(",", ":"))).encode())
            separator = ","
        yield self._gaps.taken()
        split = self._gaps.record()
        start = "" if separator == "," else separator
        self._contents.write(f'{start}],"tarSplitDigest":"{split.digest}"}}'.encode())
        self._contents.close()
        yield from self._tables(self._contents, split)

    def _content(self, entry: TarEntry, see: Callable[[memoryview], None]) -> Iterator[bytes]:
        """A frame of the entry's content."""
        frame = self._zstd.compressobj(size=entry.size)
        for piece in self._entries.pieces(entry.name):
            see(piece)
            yield frame.compress(piece)
        yield frame.flush()

    def _tables(self, contents: _CompressedLines, split: _CompressedLines) -> Iterator[bytes]:
        """The three frames at the end."""
        header = struct.calcsize("<II")
        at = self._position + header
        split_at = at + len(contents.data) + header
        self._said = {
            CHECKSUM: contents.digest,
            POSITION: f"{at}:{len(contents.data)}:{contents.size}:{_TYPE}",
            SPLIT_POSITION: f"{split_at}:{len(split.data)}:{split.size}",
        }
        numbers = (at, len(contents.data), contents.size, _TYPE)
        footer = struct.pack("<7Q", *numbers, split_at, len(split.data), split.size) + _FOOTER_MAGIC
        for data in (contents.data, split.data, footer):
            yield struct.pack("<II", _SKIPPABLE, len(data)) + data


class _NonContent:
    """What lies between the contents: goes into frames of its own, and into tar-split's record."""

    def __init__(self, zstd: zstandard.ZstdCompressor) -> None:
        self._zstd = zstd
        self._lines = _CompressedLines()
        self._split = SplitWriter(None, self._lines)
        self._gap = bytearray()
        self._made = bytearray()

    def write_raw(self, data: bytes | memoryview, /) -> None:
        self._split.write_raw(data)
        self._gap += data
        if len(self._gap) > _GAP:
            self._squeeze()
        if len(self._made) + len(self._lines.data) > _MAX_WAITING:
            raise LimitError(f"{_WHAT}: too much of it is neither a file's content nor its header")

    def start_file(
        self, name: str, size: int, /
    ) -> AbstractContextManager[Callable[[memoryview], None]]:
        return self._split.start_file(name, size)

    def write_empty_file(self, name: str) -> None:
        self._split.write_empty_file(name)

    def taken(self) -> bytes:
        """The frames of what came since the last call."""
        self._squeeze()
        made, self._made = bytes(self._made), bytearray()
        return made

    def record(self) -> _CompressedLines:
        """What tar-split has of the whole."""
        self._split.close()
        return self._lines

    def _squeeze(self) -> None:
        if self._gap:
            self._made += self._zstd.compress(self._gap)
            self._gap.clear()


class _CompressedLines:
    """Lines that are compressed as they come, and kept so."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdCompressor(level=3).compressobj()
        self.data = bytearray()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        self.data += self._frame.compress(data)
        return len(data)

    def close(self) -> None:
        self.data += self._frame.flush()

    @property
    def digest(self) -> str:
        """Of what is kept; after ``close``."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


def _member(entry: TarEntry) -> dict[str, Any]:
    """The entry as the table of contents has it; what is nothing is left out."""
    device = entry.format in (stat.S_IFCHR, stat.S_IFBLK)
    said = {
        "linkName": _text(entry.target),
        "mode": entry.written_mode,
        "size": entry.size,
        "uid": entry.uid,
        "gid": entry.gid,
        "modtime": _format_time(entry.mtime),
        "accesstime": _format_time(entry.atime),
        "changetime": _format_time(entry.ctime),
        "devMajor": os.major(entry.device) if device else 0,
        "devMinor": os.minor(entry.device) if device else 0,
        "xattrs": {key: base64_strict.encode(value) for key, value in entry.xattrs.items()},
    }
    named = {"type": _TYPES[entry.format], "name": _text(entry.name)}
    return named | {key: value for key, value in said.items() if value}


def _text(name: str) -> str:
    """A name as Go writes it into JSON, where bytes that are not UTF-8 are lost."""
    return os.fsencode(name).decode("utf-8", "replace")


def _format_time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else timestamps.format_nanoseconds(nanoseconds)
