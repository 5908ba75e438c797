"""The files of a bundle in an archive, read in place by their offsets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bundler.bundle.format.archive import members, partial_index
from bundler.bundle.format.archive.part_names import parse_part_path, read_list
from bundler.bundle.format.archive.parts_file import PartsFile
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import BundleFile, DirectoryScan
from bundler.bundle.format.reading.files import BundleFiles
from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.files.uncached_file import drop_cache
from bundler.errors import (
    DamagedBundleError,
    DisconnectedMediumError,
    LimitError,
    MalformedError,
    NotFoundError,
    PartsOwedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.archive.members import Member
    from bundler.bundle.format.archive.partial_index import ArchiveIndex
    from bundler.content.files.safe_directory import RandomAccessFile
    from bundler.errors import BundlerError


class StoredMember(FileSlice):
    """Stream of a member from ``offset`` on; ``size`` is that of the whole member."""

    def __init__(self, file: RandomAccessFile, member: Member, offset: int) -> None:
        super().__init__(file, member.start + offset, member.size - offset)
        self.size = member.size


class ArchiveFiles(BundleFiles):
    """The members of the archive ``path``, which is opened and indexed when it is first needed.

    ``parts`` are those that are present, by their numbers, if the archive is split.
    """

    def __init__(self, path: Path, parts: Mapping[int, Path] | None = None) -> None:
        self.location = str(path)
        self.parts = parts or {}
        self._path = path
        self._lock = threading.RLock()
        self._file: RegularFile | PartsFile | None = None
        self._members: Mapping[str, Member] = {}
        self._partial: ArchiveIndex | None = None

    @property
    def is_partial(self) -> bool:
        """Whether members are lacking; only with ``accepts_partial``."""
        self._open()
        return self._partial is not None

    def list_lacking(self) -> dict[str, Member]:
        """Return the content that is lacking, by path."""
        self._open()
        return {} if self._partial is None else self._partial.lacking

    def create_partial_error(self, subject: str, images: Sequence[str] = ()) -> BundlerError:
        """Return the error that members are lacking, which ``images`` need."""
        file, _ = self._open()
        found = self._partial
        assert found is not None  # noqa: S101 - it is partial
        assert isinstance(file, PartsFile)  # noqa: S101 - as above
        if not self.parts:
            return DamagedBundleError(
                f"{subject}: cut after {file.size:,} bytes",
                images,
                hint="copy it again, and run the same command again: content that was pushed is not"
                " sent again",
            )
        owed = set(range(1, max(self._count_parts(), *file.paths) + 1)) - file.paths.keys()
        for member in found.lacking.values():
            owed.update(file.find_holes(member.start, member.end))
        if not owed or bundle_paths.INVENTORY not in found.members:
            owed |= set(file.find_holes(found.end, found.end + 1))
        return PartsOwedError(subject, sorted(owed), images)

    def scan(self) -> DirectoryScan:
        """List all members."""
        _, found = self._open()
        entries = {path: BundleFile(path, "file", item.size) for path, item in found.items()}
        return DirectoryScan(entries, 0)

    def list_names(self, folder: str) -> list[str]:
        """Return the names of the members in a folder."""
        _, found = self._open()
        folders = (path.rpartition("/") for path in found)
        return sorted(name for above, _, name in folders if above == folder)

    def list_signatures(self) -> list[str]:
        """Return the names of the signatures."""
        _, found = self._open()
        return sorted(filter(bundle_paths.parse_signature_name, found))

    def open(self, path: str, offset: int = 0, *, uncached: bool = False) -> StoredMember:
        """Open a member."""
        file, found = self._open()
        member = found.get(path)
        if member is None:
            raise NotFoundError(f"{self.location}: no {path[: bundle_paths.MAX_PATH]}")
        if uncached and isinstance(file, RegularFile):
            drop_cache(file, member.start, member.size)
        return StoredMember(file, member, offset)

    def read(self, path: str, limit: int) -> bytes:
        """Read a small member."""
        with self.open(path) as file:
            if file.size > limit:
                raise LimitError(f"{self.location}: {path}: more than the {limit:,} bytes allowed")
            return file.read()

    def get_size(self, path: str) -> int | None:
        """Return the size of a member."""
        _, found = self._open()
        member = found.get(path)
        return None if member is None else member.size

    def has_next(self) -> bool:
        """Return False: an archive is replaced as a whole."""
        return False

    def check_connected(self) -> None:
        """Check that the archive still exists."""
        if not all(path.exists() for path in self.parts.values() or [self._path]):
            raise DisconnectedMediumError(self.location)

    def close(self) -> None:
        """Close the archive."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _count_parts(self) -> int:
        """Return the number of the parts, as their list states it; 0: there is no list."""
        counts = []
        for path in self.parts.values():
            part = parse_part_path(path)
            counts.append(0 if part is None else len(read_list(part[0])))
        return max(counts)

    def _open(self) -> tuple[RegularFile | PartsFile, Mapping[str, Member]]:
        with self._lock:
            if self._file is None:
                if self.parts:
                    self._open_parts(self.parts)
                else:
                    self._open_file()
            assert self._file is not None  # noqa: S101 - it was opened
            return self._file, self._members

    def _open_file(self) -> None:
        file = RegularFile.open(self._path)
        try:
            self._members = members.index(file, self.location)
        except BaseException as error:
            file.close()
            if not (self.accepts_partial and isinstance(error, MalformedError)):
                raise
            self._open_parts({1: self._path})
        else:
            self._file = file

    def _open_parts(self, parts: Mapping[int, Path]) -> None:
        file = PartsFile(parts)
        try:
            found = partial_index.index(file, self.location)
            self._partial = None if found.is_whole else found
            self._members, self._file = found.members, file
        except BaseException:
            file.close()
            raise
        if self._partial is not None and not self.accepts_partial:
            raise self.create_partial_error(self.location)
