"""Layers with members of all kinds, written by the standard library."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Iterable

Item = tuple[tarfile.TarInfo, bytes]
"""A member and its content."""

_KINDS = {
    "directory": tarfile.DIRTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "character device": tarfile.CHRTYPE,
}


def file(name: str, data: bytes = b"", *, mode: int = 0o644) -> Item:
    """Create a regular file with ``data``."""
    member = tarfile.TarInfo(name)
    member.mode, member.size = mode, len(data)
    return member, data


def other(kind: str, name: str, target: str = "", *, mode: int = 0o755) -> Item:
    """Create a directory, a link, a pipe or a device."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = _KINDS[kind], target, mode
    return member, b""


def layer(*members: Item) -> images.Layer:
    """Create a layer, compressed with gzip."""
    tar = pack(members)
    blob = images.Blob(images.OCI["gzip"], gzip.compress(tar, compresslevel=1, mtime=0))
    return images.Layer(blob, images.sha256(tar))


def pack(members: Iterable[Item]) -> bytes:
    """Return the tar of ``members``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
