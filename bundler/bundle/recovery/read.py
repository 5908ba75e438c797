"""Read the slices of a damaged bundle. None is used before its digest was compared."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from bundler.bundle.format.files import bundle_files
from bundler.bundle.recovery.content import ProtectedContent
from bundler.bundle.recovery.geometry import STRIP
from bundler.errors import BundlerError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.recovery.code import Code
    from bundler.bundle.recovery.tables import RecoveryTables
    from bundler.content.files.safe_directory import Directory, RegularFile


class RecoveryData:
    """The slices of the bundle in a directory, and their recovery.

    As a context manager, it closes its files. For one thread. ``content`` reads the protected
    files; bytes that cannot be read are zeros.
    """

    def __init__(self, bundle: Directory, tables: RecoveryTables) -> None:
        self.tables = tables
        self.geometry = tables.geometry
        self.content = ProtectedContent(bundle, tables.files, tolerant=True)
        self._bundle = bundle
        self._slices: dict[int, RegularFile | None] = {}
        self._code: Code | None = None
        self._stack = ExitStack()
        self._stack.enter_context(self.content)

    def is_good(self, row: int, column: int) -> bool:
        """Return whether a slice of a codeword can be read, and has its digest."""
        data = self.read(row, column, 0, self.geometry.slice_size)
        return Digest.of(data).hex == self.tables.get_digest(row, column).hex()

    def find_good(self, row: int) -> list[int]:
        """Return the positions of the slices of a codeword that are good."""
        return [column for column in range(self.geometry.width) if self.is_good(row, column)]

    def recover(
        self, row: int, good: Sequence[int], lost: Sequence[int]
    ) -> Iterator[tuple[int, int, bytes]]:
        """Yield the position, the offset in the slice, and the bytes of the ``lost`` slices.

        ``good`` are at least as many positions of good slices as the codeword has content slices.
        The medium may return other bytes now, so the caller compares the result with its digest.
        """
        if self._code is None:
            from bundler.bundle.recovery.code import Code  # noqa: PLC0415 - to recover only

            self._code = Code(self.geometry.data_slices, self.geometry.recovery_slices)
        size = self.geometry.slice_size
        for offset in range(0, size, STRIP):
            length = min(STRIP, size - offset)
            chosen = good[: self.geometry.data_slices]
            strips = {column: self.read(row, column, offset, length) for column in chosen}
            content = self._code.recover(strips)
            if lost[-1] >= self.geometry.data_slices:
                content += self._code.encode(content)
            for column in lost:
                yield column, offset, content[column]

    def read(self, row: int, column: int, offset: int, size: int) -> bytes:
        """Read bytes of a slice from ``offset`` on; those that cannot be read are zeros."""
        if column < self.geometry.data_slices:
            return self.content.read(self.geometry.offset(row, column) + offset, size)
        start = row * self.geometry.slice_size + offset
        data = self._read_recovery(column - self.geometry.data_slices, start, size)
        return data.ljust(size, b"\0")

    def find_size(self, path: str) -> int | None:
        """Return the size in bytes of a file of the bundle; None if it cannot be opened."""
        with suppress(BundlerError):
            return self._bundle.get_size(*path.split("/"))
        return None

    def _read_recovery(self, number: int, offset: int, size: int) -> bytes:
        if number not in self._slices:
            self._slices[number] = None
            with suppress(BundlerError):
                path = self.tables.record.slice_paths[number]
                file = bundle_files.open_file(self._bundle, path)
                self._slices[number] = self._stack.enter_context(file)
        opened = self._slices[number]
        if opened is not None:
            with suppress(OSError):
                return os.pread(opened.fileno(), size, offset)
        return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
