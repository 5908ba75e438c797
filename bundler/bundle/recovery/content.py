"""The protected files of a bundle as one sequence of bytes, and the list of these files."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import BundlerError, MalformedError, MediumError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.content.files.safe_directory import Directory, RegularFile
    from bundler.oci.digest import Digest

_MAX_OPEN = 64
_MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class ProtectedFile:
    """A blob or manifest; ``size`` in bytes."""

    digest: Digest
    size: int
    path: str
    """Its path in the bundle; the first one, if several files have this digest."""


class ProtectedContent:
    """The concatenated content of files, which are opened when they are read.

    As a context manager, it closes them. With ``tolerant``, the bytes of files that are missing,
    too short or unreadable are zeros; otherwise they are an error. For one thread.
    """

    def __init__(
        self, bundle: Directory, files: Sequence[ProtectedFile], *, tolerant: bool = False
    ) -> None:
        self._bundle = bundle
        self._files = files
        self._tolerant = tolerant
        self._starts = [0, *accumulate(file.size for file in files)]
        self._open: OrderedDict[int, RegularFile | None] = OrderedDict()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self._starts[-1]

    def find_start(self, number: int) -> int:
        """Return the offset of the file with this number."""
        return self._starts[number]

    def find_parts(self, start: int, size: int) -> Iterator[tuple[int, int, int]]:
        """Yield the number of each file in a range, and the first and last offset in that file."""
        end = min(start + size, self.size)
        number = bisect_right(self._starts, start) - 1
        while number < len(self._files) and self._starts[number] < end:
            first = self._starts[number]
            if self._files[number].size:
                last = min(end, self._starts[number + 1])
                yield number, max(start, first) - first, last - first
            number += 1

    def read(self, start: int, size: int) -> bytes:
        """Read ``size`` bytes; those beyond the end are zeros.

        Raises:
            NotFoundError, MalformedError, MediumError: a file cannot be read; unless ``tolerant``.
        """
        parts = [
            self._read_file(number, first, last - first)
            for number, first, last in self.find_parts(start, size)
        ]
        data = b"".join(parts)
        return data if len(data) == size else data.ljust(size, b"\0")

    def _read_file(self, number: int, offset: int, size: int) -> bytes:
        path = self._files[number].path
        try:
            file = self._find_open(number)
            data = b"" if file is None else _read_at(file, offset, size)
            if len(data) < size and not self._tolerant:
                raise MediumError(
                    f"{self._bundle.path / path}: too short (expected"
                    f" {self._files[number].size:,} bytes)"
                )
        except BundlerError:
            if not self._tolerant:
                raise
            data = b""
        return data.ljust(size, b"\0")

    def _find_open(self, number: int) -> RegularFile | None:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        try:
            file = bundle_files.open_file(self._bundle, self._files[number].path)
        except BundlerError:
            if not self._tolerant:
                raise
            file = None
        self._open[number] = file
        if len(self._open) > _MAX_OPEN:
            _, oldest = self._open.popitem(last=False)
            if oldest is not None:
                oldest.close()
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            if file is not None:
                file.close()
        self._open.clear()


def _read_at(file: RegularFile, offset: int, size: int) -> bytes:
    try:
        return os.pread(file.fileno(), size, offset)
    except OSError as error:
        raise to_bundler_error(error, file.path, "cannot read") from error


def render_files(files: Sequence[ProtectedFile]) -> bytes:
    """Return the list of the protected files: lines ``<digest> <size>``."""
    return "".join(f"{file.digest} {file.size}\n" for file in files).encode("ascii")


def find_digest(path: str, sha256: Digest | None) -> Digest | None:
    """Return the digest of a content file: that in its path, or ``sha256`` of other large files.

    These are the parts of blobs, and the files of a carried program.

    None: the file is no content, but one of the small files that are copied.
    """
    if bundle_paths.parse_blob_part(path) is not None or bundle_paths.is_program(path):
        return sha256
    return bundle_paths.parse_digest(path)


def find_paths(listed: Mapping[str, Digest | None]) -> dict[Digest, str]:
    """Return the path of each content file of a bundle by its digest, in the order of ``listed``.

    ``listed`` contains the sha256 of each file, by path. Of several files with the same digest, as
    in format ``dir``, the path is that of the first one.
    """
    paths: dict[Digest, str] = {}
    for path, sha256 in listed.items():
        if (digest := find_digest(path, sha256)) is not None:
            paths.setdefault(digest, path)
    return paths


def parse_files(raw: bytes, paths: Mapping[Digest, str], subject: str) -> list[ProtectedFile]:
    """Parse the list of the protected files; ``paths`` are the paths of the files by digest.

    Raises:
        MalformedError: a line is malformed, or a file does not belong to the bundle.
    """
    files = []
    left = {digest.text: (digest, path) for digest, path in paths.items()}
    for number, line in enumerate(raw.decode("ascii", "replace").splitlines(), 1):
        text, _, size = line.partition(" ")
        file = left.pop(text, None)
        if file is None or not (size.isdigit() and len(size) <= _MAX_DIGITS):
            raise MalformedError(
                f"{subject}: line {number} is malformed (expected the digest of a file of this"
                " bundle, and its size)"
            )
        files.append(ProtectedFile(file[0], int(size), file[1]))
    return files
