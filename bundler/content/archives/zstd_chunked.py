"""Compress a tar with zstd so that each of its files can be fetched separately.

    frames with headers and padding, and one frame for the content of each file
    skippable frame: the table of contents (JSON, zstd): each entry with the position of its frame
    skippable frame: the tar without the contents of its files (tar-split's format, zstd)
    skippable frame: the positions of the other two skippable frames

Any zstd decompressor decompresses the stream to the tar. Each file is one chunk, regardless of its
size.

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
    from collections.abc import Iterator, Mapping

    from bundler.content.archives.tar_stream import TarEntry
    from bundler.content.streams import Reader

_PREFIX = "io.github.containers.zstd-chunked."
CHECKSUM = _PREFIX + "manifest-checksum"
POSITION = _PREFIX + "manifest-position"
SPLIT_POSITION = _PREFIX + "tarsplit-position"

_SUBJECT = "the layer's tar"
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
    """Encoder for the tar ``source``, whose owner closes it. For one thread.

    Memory use grows with the number of files, but not with their sizes.
    """

    def __init__(self, source: Reader, level: int) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level)
        self._gaps = _NonContent(self._zstd)
        self._contents = _CompressedLines()
        self._entries = TarEntries(source, self._gaps, _SUBJECT)
        self._position = 0
        self._annotations: dict[str, str] = {}

    def chunks(self) -> Iterator[bytes]:
        """Iterate over the compressed stream.

        Raises:
            MalformedError: ``source`` is not a tar.
            LimitError: too much data outside tar headers and file contents, or too many files.
        """
        for chunk in self._frames():
            self._position += len(chunk)
            yield chunk

    def annotations(self) -> Mapping[str, str]:
        """Return the annotations with the position and digest of the table of contents.

        Valid only after the end of ``chunks``.
        """
        return self._annotations

    def close(self) -> None:
        """Do nothing: the encoder holds no resources except memory."""

    def _frames(self) -> Iterator[bytes]:
        separator = '{"version":1,"entries":['
        for entry in self._entries:
            member = _create_member(entry)
            if entry.size:
                yield self._gaps.take_frames()
                member["offset"] = self._position
                digest = hashlib.sha256()
                frame = self._zstd.compressobj(size=entry.size)
                for chunk in self._entries.chunks(entry.name):
                    digest.update(chunk)
                    yield frame.compress(chunk)
                yield frame.flush()
                member["digest"] = f"sha256:{digest.hexdigest()}"
                member["endOffset"] = self._position
            else:
                self._gaps.write_empty_file(entry.name)
            self._contents.write((separator + json.dumps(member, separators=(",", ":"))).encode())
            separator = ","
        yield self._gaps.take_frames()
        self._gaps.close()
        split = self._gaps.lines
        start = "" if separator == "," else separator
        self._contents.write(f'{start}],"tarSplitDigest":"{split.digest}"}}'.encode())
        self._contents.close()
        # The three final skippable frames.
        header = struct.calcsize("<II")
        at = self._position + header
        split_at = at + len(self._contents.data) + header
        numbers = (at, len(self._contents.data), self._contents.size, _TYPE)
        split_numbers = (split_at, len(split.data), split.size)
        self._annotations = {
            CHECKSUM: self._contents.digest,
            POSITION: ":".join(map(str, numbers)),
            SPLIT_POSITION: ":".join(map(str, split_numbers)),
        }
        footer = struct.pack("<7Q", *numbers, *split_numbers) + _FOOTER_MAGIC
        for data in (self._contents.data, split.data, footer):
            yield struct.pack("<II", _SKIPPABLE, len(data)) + data


class _NonContent(SplitWriter):
    """Recorder that also writes everything except file contents to frames."""

    def __init__(self, zstd: zstandard.ZstdCompressor) -> None:
        self.lines = _CompressedLines()
        super().__init__(self.lines)
        self._zstd = zstd
        self._gap = bytearray()
        self._frames = bytearray()

    def write_raw(self, data: bytes | memoryview) -> None:
        super().write_raw(data)
        self._gap += data
        if len(self._gap) > _GAP:
            self._compress_gap()
        if len(self._frames) + len(self.lines.data) > _MAX_WAITING:
            raise LimitError(f"{_SUBJECT}: too much data outside tar headers and file contents")

    def take_frames(self) -> bytes:
        """Return the frames that were added since the last call."""
        self._compress_gap()
        frames, self._frames = bytes(self._frames), bytearray()
        return frames

    def _compress_gap(self) -> None:
        if self._gap:
            self._frames += self._zstd.compress(self._gap)
            self._gap.clear()


class _CompressedLines:
    """Sink that compresses lines in memory, at most ``_MAX_WAITING`` bytes."""

    def __init__(self) -> None:
        self._frame = zstandard.ZstdCompressor(level=3).compressobj()
        self.data = bytearray()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self.size += len(data)
        self.data += self._frame.compress(data)
        if len(self.data) > _MAX_WAITING:
            raise LimitError(f"{_SUBJECT}: its table of contents is too large")
        return len(data)

    def close(self) -> None:
        self.data += self._frame.flush()

    @property
    def digest(self) -> str:
        """The digest of the compressed lines; only after ``close``."""
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"


def _create_member(entry: TarEntry) -> dict[str, Any]:
    """Create an entry of the table of contents, omitting members that are zero or empty."""
    device = entry.format in (stat.S_IFCHR, stat.S_IFBLK)
    members = {
        "linkName": _decode_name(entry.target),
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
    head = {"type": _TYPES[entry.format], "name": _decode_name(entry.name)}
    return head | {key: value for key, value in members.items() if value}


def _decode_name(name: str) -> str:
    """Decode a name as Go does for JSON: invalid UTF-8 is replaced."""
    return os.fsencode(name).decode("utf-8", "replace")


def _format_time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else timestamps.format_nanoseconds(nanoseconds)
