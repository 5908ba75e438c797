"""The parts of a SIF file: a header, descriptors, and the data objects that they point at.

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
_LATEST = 253_402_300_800  # seconds; years have four digits until then
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
    """What of a SIF file makes an image."""

    architecture: str
    """As Go names it; ``unknown`` where the file does not say."""
    id: str
    modified: int
    """In seconds since 1970."""
    definition: bytes
    """The file that the image was built from; empty: there is none."""
    offset: int
    """Where the squashfs of the root directory begins, in bytes."""
    size: int


def read(file: RegularFile) -> SifFile:
    """Find the parts of ``file``.

    Raises:
        LimitError: too many parts, or too large ones.
        MalformedError: not a SIF file, or one that is cut.
        UnsupportedError: one without a root directory in a squashfs.
    """
    what = str(file.path)
    header = FileSlice(file, 0, _HEADER.size).read()
    if len(header) < _HEADER.size:
        raise MalformedError(f"{what}: not a SIF file: it ends early")
    _, magic, version, architecture, identity, _, modified, *rest = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise MalformedError(
            f"{what}: not a SIF file", hint="sif: reads what apptainer build makes"
        )
    if version != _VERSION:
        raise UnsupportedError(f"{what}: version {version[:2]!r} of SIF, expected 01")
    if not 0 <= modified < _LATEST:
        raise MalformedError(f"{what}: its header is damaged: {modified} is no date")
    _, total, start, *_ = rest
    objects = _objects(file, total, start, what)
    system = _only_system(objects, what)
    return SifFile(
        architecture=_architecture(architecture),
        id=str(uuid.UUID(bytes=identity)),
        modified=modified,
        definition=_definition(file, objects, what),
        offset=system.offset,
        size=system.size,
    )


@dataclass(frozen=True, slots=True)
class _Object:
    """A data object."""

    kind: int
    offset: int
    size: int
    extra: bytes


def _objects(file: RegularFile, total: int, start: int, what: str) -> list[_Object]:
    if total > _MAX_DESCRIPTORS:
        raise LimitError(f"{what}: more than {_MAX_DESCRIPTORS:,} data objects")
    if total < 0 or not _HEADER.size <= start <= file.size:
        raise MalformedError(f"{what}: its header is damaged")
    raw = FileSlice(file, start, total * _DESCRIPTOR.size).read()
    if len(raw) < total * _DESCRIPTOR.size:
        raise MalformedError(f"{what}: it ends within its descriptors")
    found = []
    for kind, used, _, _, _, offset, size, *_, extra in _DESCRIPTOR.iter_unpack(raw):
        if not used:
            continue
        if offset < 0 or size < 0 or offset + size > file.size:
            raise MalformedError(f"{what}: a data object ends behind the file's end")
        found.append(_Object(kind, offset, size, extra))
    return found


def _only_system(objects: list[_Object], what: str) -> _Object:
    found = []
    for one in objects:
        if one.kind == _PARTITION_TYPE:
            kind, purpose, _ = _PARTITION.unpack_from(one.extra)
            if purpose == _PRIMARY_SYSTEM:
                found.append((kind, one))
    if len(found) != 1:
        raise UnsupportedError(f"{what}: {len(found)} primary partitions, expected one")
    ((kind, system),) = found
    if kind != _SQUASHFS:
        raise UnsupportedError(
            f"{what}: its root directory is no plain squashfs",
            hint="encrypted and writable images have to be built anew as read-only ones",
        )
    return system


def _definition(file: RegularFile, objects: list[_Object], what: str) -> bytes:
    found = [one for one in objects if one.kind == _DEFINITION]
    if len(found) != 1:  # of several nobody knows which one counts
        return b""
    (one,) = found
    if one.size > _MAX_DEFINITION:
        raise LimitError(f"{what}: a definition file of {one.size:,} bytes")
    return FileSlice(file, one.offset, one.size).read()


def _architecture(field: bytes) -> str:
    digits = field[:2]
    number = int(digits) if digits.isdigit() else 0
    return _ARCHITECTURES[number] if number < len(_ARCHITECTURES) else _ARCHITECTURES[0]
