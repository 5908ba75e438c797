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
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import write_all
from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.format.reading.files import BundleFiles

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
    memory = os.memfd_create(path)  # the index reads a file
    try:
        write_all(memory, bundle.read(path, MAX_COPY))
    except BaseException:
        os.close(memory)
        raise
    with RegularFile(Path(path), memory) as file:
        members = tar_index.index(file)
        return {
            name: tar_index.open_member(file, member).read() for name, member in members.items()
        }


def read_tolerantly(bundle: BundleFiles, path: str) -> dict[str, bytes]:
    """Read the files in a copy by path; none if it is damaged."""
    try:
        return read(bundle, path)
    except BundlerError:
        return {}
