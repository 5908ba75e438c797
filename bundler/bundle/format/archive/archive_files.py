"""The files of a bundle in an archive, read in place by their offsets."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bundler.bundle.format.archive import members
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_files import BundleFile, DirectoryScan
from bundler.bundle.format.reading.files import BundleFiles
from bundler.content.files.safe_directory import FileSlice, RegularFile
from bundler.content.files.uncached_file import drop_cache
from bundler.errors import DisconnectedMediumError, LimitError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.format.archive.members import Member


class StoredMember(FileSlice):
    """Stream of a member from ``offset`` on; ``size`` is that of the whole member."""

    def __init__(self, file: RegularFile, member: Member, offset: int) -> None:
        super().__init__(file, member.start + offset, member.size - offset)
        self.size = member.size


class ArchiveFiles(BundleFiles):
    """The members of the archive ``path``, which is opened and indexed when it is first needed."""

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path
        self._lock = threading.Lock()
        self._file: RegularFile | None = None
        self._members: Mapping[str, Member] = {}

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
        if uncached:
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
        if not self._path.exists():
            raise DisconnectedMediumError(self.location)

    def close(self) -> None:
        """Close the archive."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _open(self) -> tuple[RegularFile, Mapping[str, Member]]:
        with self._lock:
            if self._file is None:
                file = RegularFile.open(self._path)
                try:
                    self._members = members.index(file, self.location)
                except BaseException:
                    file.close()
                    raise
                self._file = file
            return self._file, self._members
