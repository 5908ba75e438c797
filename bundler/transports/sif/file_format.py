"""The format of SIF files: a header, descriptors, and the data objects that they refer to.

All numbers are little endian, at fixed offsets.

https://github.com/apptainer/sif/blob/v2.19.0/pkg/sif/sif.go
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.files.safe_directory import RegularFile

_HEADER = struct.Struct("<32s10s3s3s16s8q")
_DESCRIPTOR = struct.Struct("<i?IIIqqq4q128s384s")
_PARTITION = struct.Struct("<ii3s")
_MAGIC = b"SIF_MAGIC\0"
_VERSION = b"01\0"
_MAX_TIME = 253_402_300_800  # seconds; the limit of four-digit years
_MAX_DESCRIPTORS = 10_000
_MAX_DEFINITION = 1024 * 1024

_DEFINITION = 0x4001
_PARTITION_TYPE = 0x4004
_PRIMARY_SYSTEM = 2
_SQUASHFS = 1

_ARCHITECTURES = (
    *("unknown", "386", "amd64", "arm", "arm64", "ppc64", "ppc64le"),
    *("mips", "mipsle", "mips64", "mips64le", "s390x", "riscv64", "loong64"),
)


@dataclass(frozen=True, slots=True)
class SifFile:
    """The metadata of a SIF file, and the position of its root directory."""

    architecture: str
    """The architecture in Go's names; ``unknown`` if unset."""
    id: str
    modified: int
    """Modification time, in seconds since 1970."""
    definition: bytes
    """The definition file that the image was built from; empty if absent."""
    offset: int
    """Offset in bytes of the SquashFS with the root directory."""
    size: int
    """Size of the SquashFS in bytes."""

    def create_script(self) -> bytes | None:
        """Create a script from ``%environment`` and ``%runscript``; None if both are absent.

        The sections are parsed as in containers/image, including comments in ``%runscript``.
        """
        sections: dict[str, list[str]] = {"%environment": [], "%runscript": []}
        section: list[str] | None = None
        definition = self.definition.removesuffix(b"\n").decode("utf-8", "surrogateescape")
        for line in definition.split("\n"):
            text = line.strip()
            if text.startswith("%"):
                section = sections.get(text)
            elif section is sections["%environment"] and (not text or text.startswith("#")):
                continue
            elif section is not None:
                section.append(text)
        if not any(sections.values()):
            return None
        body = "\n".join("\n".join(lines) for lines in sections.values())
        return f"#!/bin/bash\n{body}\n".encode("utf-8", "surrogateescape")


def read(file: RegularFile) -> SifFile:
    """Read the header and the descriptors of a SIF file.

    Raises:
        LimitError: there are too many data objects, or one is too large.
        MalformedError: the file is not a SIF file, or is truncated.
        UnsupportedError: the root directory is not in a single SquashFS partition.
    """
    subject = str(file.path)
    header = FileSlice(file, 0, _HEADER.size).read()
    if len(header) < _HEADER.size:
        raise MalformedError(f"{subject}: not a SIF file (shorter than its header)")
    _, magic, version, architecture, identity, _, modified, *rest = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise MalformedError(
            f"{subject}: not a SIF file", hint="specify a file written by apptainer build"
        )
    if version != _VERSION:
        raise UnsupportedError(
            f"{subject}: unknown SIF version (expected {_VERSION[:2]!r}, got {version[:2]!r})"
        )
    if not 0 <= modified < _MAX_TIME:
        raise MalformedError(f"{subject}: damaged header: invalid date {modified}")
    _, total, start, *_ = rest
    code = int(architecture[:2]) if architecture[:2].isdigit() else 0
    systems = []
    definitions = []
    for object_type, offset, size, extra in _read_objects(file, total, start):
        if object_type == _DEFINITION:
            definitions.append((offset, size))
        elif object_type == _PARTITION_TYPE:
            file_system, purpose, _ = _PARTITION.unpack_from(extra)
            if purpose == _PRIMARY_SYSTEM:
                systems.append((file_system, offset, size))
    if len(systems) != 1:
        raise UnsupportedError(
            f"{subject}: wrong number of primary partitions (expected 1, got {len(systems)})"
        )
    ((file_system, offset, size),) = systems
    if file_system != _SQUASHFS:
        raise UnsupportedError(
            f"{subject}: the primary partition is not an unencrypted SquashFS",
            hint="rebuild an encrypted or writable image as read-only and unencrypted",
        )
    return SifFile(
        architecture=_ARCHITECTURES[code if code < len(_ARCHITECTURES) else 0],
        id=str(uuid.UUID(bytes=identity)),
        modified=modified,
        definition=_read_definition(file, definitions),
        offset=offset,
        size=size,
    )


def _read_objects(
    file: RegularFile, total: int, start: int
) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the type, the offset, the size and the extra data of each data object."""
    if total > _MAX_DESCRIPTORS:
        raise LimitError(f"{file.path}: more than {_MAX_DESCRIPTORS:,} data objects")
    if total < 0 or not _HEADER.size <= start <= file.size:
        raise MalformedError(f"{file.path}: damaged header")
    raw = FileSlice(file, start, total * _DESCRIPTOR.size).read()
    if len(raw) < total * _DESCRIPTOR.size:
        raise MalformedError(f"{file.path}: truncated in the descriptors")
    for object_type, used, _, _, _, offset, size, *_, extra in _DESCRIPTOR.iter_unpack(raw):
        if used:
            if offset < 0 or size < 0 or offset + size > file.size:
                raise MalformedError(
                    f"{file.path}: a data object extends beyond the end of the file"
                )
            yield object_type, offset, size, extra


def _read_definition(file: RegularFile, definitions: Sequence[tuple[int, int]]) -> bytes:
    if len(definitions) != 1:  # if there are several, it is undefined which one applies
        return b""
    ((offset, size),) = definitions
    if size > _MAX_DEFINITION:
        raise LimitError(
            f"{file.path}: the definition file has {size:,} bytes, more than the"
            f" {_MAX_DEFINITION:,} allowed"
        )
    return FileSlice(file, offset, size).read()
