"""Copies of the small files of a bundle: its seal, and all listed files that are not content.

They are plain tar archives, so that a person can restore a file without this program. A copy proves
nothing by itself: a reader compares each member with the signatures of the bundle or with a digest
in its inventory or in SHA256SUMS.
"""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.archives import tar_index
from bundler.content.archives.tar_header import BLOCK
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import write_all
from bundler.errors import BundlerError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.content.archives.tar_index import ArchiveMember

MAX_COPY = 64 * 1024 * 1024
_SLACK = 64 * 1024  # for signatures, whose size is unknown when place is reserved


def compute_size(content: int) -> int:
    """Return the size to reserve for a copy of about ``content`` bytes."""
    return content + _SLACK


def render(files: Mapping[str, bytes]) -> bytes:
    """Return a copy of ``files``, by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read(bundle: BundleFiles, path: str) -> dict[str, bytes]:
    """Read the files in a copy by path, **not** authenticated.

    Raises:
        NotFoundError, MalformedError, MediumError: it cannot be read.
        LimitError: it is too large.
    """
    raw = bundle.read(path, MAX_COPY)
    members = _index(raw, path)
    return {name: raw[item.offset : item.offset + item.size] for name, item in members.items()}


def check_padding(bundle: BundleFiles, path: str) -> None:
    """Check that the bytes of a copy between and after its members are zero.

    Other bytes do no harm, and ``read`` accepts them, but the medium has changed them.

    Raises:
        MalformedError: they are not.
        NotFoundError, LimitError, MediumError: as for ``read``.
    """
    raw = bundle.read(path, MAX_COPY)
    ends = [0]
    for item in _index(raw, path).values():
        end = item.offset + item.size
        ends.append(end + -end % BLOCK)
        if any(raw[end : ends[-1]]):
            raise MalformedError(f"{path}: data after {item.name}")
    if any(raw[max(ends) :]):
        raise MalformedError(f"{path}: data after its end")


def is_copy(bundle: BundleFiles, path: str, files: Mapping[str, bytes]) -> bool:
    """Return whether a copy is undamaged, and contains exactly these files."""
    try:
        check_padding(bundle, path)
        return read(bundle, path) == files
    except BundlerError:
        return False


def _index(raw: bytes, path: str) -> dict[str, ArchiveMember]:
    memory = os.memfd_create(path)  # the index reads a file
    try:
        write_all(memory, raw)
    except BaseException:
        os.close(memory)
        raise
    with RegularFile(Path(path), memory) as file:
        return tar_index.index(file)


def read_tolerantly(bundle: BundleFiles, path: str) -> dict[str, bytes]:
    """Read the files in a copy by path; none if it is damaged."""
    try:
        return read(bundle, path)
    except BundlerError:
        return {}
