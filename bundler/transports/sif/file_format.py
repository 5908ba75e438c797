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
    from bundler.content.files.safe_directory import RegularFile

_HEADER = struct.Struct("<32s10s3s3s16s8q")
_DESCRIPTOR = struct.Struct("<i?IIIqqq4q128s384s")
_PARTITION = struct.Struct("<ii3s")
_MAGIC = b"SIF_MAGIC\0"
_VERSION = b"01\0"
_MAX_TIME = 253_402_300_800  # seconds; years have four digits until then
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
    """Offset in bytes of the squashfs with the root directory."""
    size: int
    """Size of the squashfs in bytes."""


def read(file: RegularFile) -> SifFile:
    """Read the header and the descriptors of a SIF file.

    Raises:
        LimitError: too many data objects, or too large ones.
        MalformedError: not a SIF file, or a truncated one.
        UnsupportedError: the root directory is not in one squashfs.
    """
    subject = str(file.path)
    header = FileSlice(file, 0, _HEADER.size).read()
    if len(header) < _HEADER.size:
        raise MalformedError(f"{subject}: not a SIF file (shorter than its header)")
    _, magic, version, architecture, identity, _, modified, *rest = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise MalformedError(
            f"{subject}: not a SIF file", hint="sif: reads the files that apptainer build writes"
        )
    if version != _VERSION:
        raise UnsupportedError(
            f"{subject}: unknown SIF version (expected {_VERSION[:2]!r}, got {version[:2]!r})"
        )
    if not 0 <= modified < _MAX_TIME:
        raise MalformedError(f"{subject}: damaged header: {modified} is not a date")
    _, total, start, *_ = rest
    code = int(architecture[:2]) if architecture[:2].isdigit() else 0
    objects = _read_objects(file, total, start, subject)
    system = _find_root_partition(objects, subject)
    return SifFile(
        architecture=_ARCHITECTURES[code if code < len(_ARCHITECTURES) else 0],
        id=str(uuid.UUID(bytes=identity)),
        modified=modified,
        definition=_read_definition(file, objects, subject),
        offset=system.offset,
        size=system.size,
    )


@dataclass(frozen=True, slots=True)
class _Object:
    """A data object."""

    type: int
    offset: int
    size: int
    extra: bytes


def _read_objects(file: RegularFile, total: int, start: int, subject: str) -> list[_Object]:
    if total > _MAX_DESCRIPTORS:
        raise LimitError(f"{subject}: more than {_MAX_DESCRIPTORS:,} data objects")
    if total < 0 or not _HEADER.size <= start <= file.size:
        raise MalformedError(f"{subject}: damaged header")
    raw = FileSlice(file, start, total * _DESCRIPTOR.size).read()
    if len(raw) < total * _DESCRIPTOR.size:
        raise MalformedError(f"{subject}: truncated within its descriptors")
    found = []
    for object_type, used, _, _, _, offset, size, *_, extra in _DESCRIPTOR.iter_unpack(raw):
        if not used:
            continue
        if offset < 0 or size < 0 or offset + size > file.size:
            raise MalformedError(f"{subject}: a data object extends beyond the end of the file")
        found.append(_Object(object_type, offset, size, extra))
    return found


def _find_root_partition(objects: list[_Object], subject: str) -> _Object:
    found = []
    for item in objects:
        if item.type == _PARTITION_TYPE:
            file_system, purpose, _ = _PARTITION.unpack_from(item.extra)
            if purpose == _PRIMARY_SYSTEM:
                found.append((file_system, item))
    if len(found) != 1:
        raise UnsupportedError(
            f"{subject}: wrong number of primary partitions (expected 1, got {len(found)})"
        )
    ((file_system, partition),) = found
    if file_system != _SQUASHFS:
        raise UnsupportedError(
            f"{subject}: its root directory is not an unencrypted squashfs",
            hint="rebuild an encrypted or writable image as a read-only one",
        )
    return partition


def _read_definition(file: RegularFile, objects: list[_Object], subject: str) -> bytes:
    found = [item for item in objects if item.type == _DEFINITION]
    if len(found) != 1:  # which one of several applies is undefined
        return b""
    if found[0].size > _MAX_DEFINITION:
        raise LimitError(
            f"{subject}: the definition file has {found[0].size:,} bytes, more than the"
            f" {_MAX_DEFINITION:,} allowed"
        )
    return FileSlice(file, found[0].offset, found[0].size).read()
