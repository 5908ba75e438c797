"""Mend damaged files from the good slices of a bundle, and publish each one only if it is whole.

A file is written beside the damaged one, or in another directory, compared with its digest, and
renamed. So an interruption leaves the damaged file or the mended one.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.program import copy_program
from bundler.bundle.recovery.geometry import LABEL
from bundler.content.files import atomic_write
from bundler.content.files.atomic_write import PartFile
from bundler.content.streams import read_chunks
from bundler.events import BlobProgressed
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.recovery.read import RecoveryData
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.engine import EngineOptions

_MAX_OPEN = 200  # files that are mended together


def mend(
    data: RecoveryData, target: Directory, paths: Sequence[str], engine: EngineOptions
) -> list[str]:
    """Mend protected files and files of recovery slices; return the paths of those mended.

    They are written below ``target``, which may be the directory of the bundle.

    Raises:
        NoSpaceError, MediumError: a mended file cannot be written.
        CancelledError: cancellation was requested.
    """
    mended: list[str] = []
    for start in range(0, len(paths), _MAX_OPEN):
        with ExitStack() as stack:
            batch = _Batch(data, engine)
            for path in paths[start : start + _MAX_OPEN]:
                batch.add(path, target, stack)
            batch.write()
            mended += batch.publish()
    return mended


@dataclass(slots=True)
class _Damaged:
    """A file that is being mended."""

    path: str
    size: int
    part: PartFile
    folder: Directory
    lost: bool = False
    """Whether too many slices of a codeword that it needs are damaged."""


class _Batch:
    """Files that are mended together, so that each codeword is read once."""

    def __init__(self, data: RecoveryData, engine: EngineOptions) -> None:
        self._data = data
        self._geometry = data.geometry
        self._engine = engine
        self._files: dict[int, _Damaged] = {}
        """The protected files by their numbers."""
        self._recovery: dict[int, _Damaged] = {}
        """The files of recovery slices by their positions in a codeword."""

    def add(self, path: str, target: Directory, stack: ExitStack) -> None:
        """Add a file; ``stack`` closes it, and removes it unless it is published."""
        *folders, _ = path.split("/")
        folder = stack.enter_context(target.enter(*folders, create=True))
        part = stack.enter_context(PartFile.create(folder, copy_program.get_mode(path)))
        number = self._data.tables.numbers.get(path)
        if number is not None:
            size = self._data.tables.files[number].size
            self._files[number] = _Damaged(path, size, part, folder)
        else:
            position = self._geometry.data_slices + self._data.tables.record.slice_paths.index(path)
            size = self._geometry.rows * self._geometry.slice_size
            self._recovery[position] = _Damaged(path, size, part, folder)

    def write(self) -> None:
        """Copy the good slices of the files, and recover the others."""
        geometry = self._geometry
        needed: set[tuple[int, int]] = set()
        for number, file in self._files.items():
            start = self._data.content.find_start(number)
            first, last = (
                start // geometry.slice_size,
                -(-(start + file.size) // geometry.slice_size),
            )
            needed.update(map(geometry.locate, range(first, last)))
        needed.update(
            (row, position) for position in self._recovery for row in range(geometry.rows)
        )
        damaged: dict[int, list[int]] = defaultdict(list)
        for row, column in sorted(needed):
            self._engine.cancellation.check()
            data = self._data.read(row, column, 0, geometry.slice_size)
            if Digest.of(data).hex == self._data.tables.get_digest(row, column).hex():
                self._write(row, column, 0, data)
            else:
                damaged[row].append(column)
        for row, columns in damaged.items():
            self._recover(row, columns)

    def _recover(self, row: int, lost: list[int]) -> None:
        """Recover the ``lost`` slices of a codeword, or mark the files that need them as lost."""
        good = self._data.find_good(row)
        self._engine.cancellation.check()
        if len(good) < self._geometry.data_slices:
            for column in lost:
                for file, _, _ in self._find_files(row, column, 0, self._geometry.slice_size):
                    file.lost = True
            return
        for column, offset, strip in self._data.recover(row, good, lost):
            self._write(row, column, offset, strip)
        self._engine.emit(BlobProgressed(LABEL, self._geometry.slice_size * len(lost)))

    def _write(self, row: int, column: int, offset: int, data: bytes) -> None:
        for file, place, part in self._find_files(row, column, offset, len(data)):
            file.part.write_at(memoryview(data)[part], place)

    def _find_files(
        self, row: int, column: int, offset: int, size: int
    ) -> Iterator[tuple[_Damaged, int, slice]]:
        """Yield the files of a part of a slice, the offsets in them, and the range in the part."""
        if column >= self._geometry.data_slices:
            if (file := self._recovery.get(column)) is not None:
                yield file, row * self._geometry.slice_size + offset, slice(0, size)
            return
        start = self._geometry.offset(row, column) + offset
        for number, first, last in self._data.content.find_parts(start, size):
            if (file := self._files.get(number)) is not None:
                begin = self._data.content.find_start(number) + first - start
                yield file, first, slice(begin, begin + last - first)

    def publish(self) -> list[str]:
        """Publish those files that are whole, and return their paths."""
        whole = [
            file
            for number, file in self._files.items()
            if not file.lost and _has_digest(file.part, self._data.tables.files[number].digest)
        ]
        whole += [
            file
            for position, file in self._recovery.items()
            if not file.lost and self._has_slices(file.part, position)
        ]
        for file in whole:
            file.part.publish(file.path.rpartition("/")[2], file.size)
            atomic_write.sync_directory(file.folder)
        return [file.path for file in whole]

    def _has_slices(self, part: PartFile, position: int) -> bool:
        """Return whether a file of recovery slices has the expected digests."""
        with part.open_reader() as reader:
            return all(
                Digest.of(reader.read(self._geometry.slice_size)).hex
                == self._data.tables.get_digest(row, position).hex()
                for row in range(self._geometry.rows)
            )


def _has_digest(part: PartFile, digest: Digest) -> bool:
    hasher = new_hasher(digest.algorithm)
    with part.open_reader() as reader:
        for chunk in read_chunks(reader):
            hasher.update(chunk)
    return hasher.hexdigest() == digest.hex
