"""The files of a bundle in a directory."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format.files import blob_parts, bundle_files, bundle_paths
from bundler.bundle.format.files.blob_parts import JoinedFile
from bundler.bundle.format.reading.files import BundleFiles
from bundler.content.files.safe_directory import Directory
from bundler.content.files.uncached_file import UncachedFile
from bundler.errors import LimitError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.files.bundle_files import DirectoryScan
    from bundler.content.files.safe_directory import RegularFile


class DirectoryFiles(BundleFiles):
    """The files in the directory ``path``, which is opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        self._path = path
        self._lock = threading.Lock()
        self._opened: Directory | None = None

    def scan(self) -> DirectoryScan:
        """List all files, as ``bundle_files.scan`` does."""
        return bundle_files.scan(self._path)

    def list_names(self, folder: str) -> list[str]:
        """Return the names in a directory; a foreign file or link in its place has none."""
        try:
            names = bundle_paths.split_path(folder) if folder else []
            with self._directory.enter(*names) as found:
                return found.list_names()
        except (NotFoundError, MalformedError):
            return []

    def list_signatures(self) -> list[str]:
        """Return the names of the signatures."""
        return bundle_files.list_signatures(self._directory)

    def open(
        self, path: str, offset: int = 0, *, uncached: bool = False
    ) -> RegularFile | UncachedFile | JoinedFile:
        """Open a regular file, or the parts of a blob; these are read through the cache."""
        try:
            file = bundle_files.open_file(self._directory, path)
        except NotFoundError:
            if not (sizes := self._list_part_sizes(path)):
                raise
            return JoinedFile(partial(self._open_part, path), sizes, offset)
        if offset:
            file.seek(offset)
        return UncachedFile(file) if uncached else file

    def read(self, path: str, limit: int) -> bytes:
        """Read a small regular file."""
        try:
            return bundle_files.read_file(self._directory, path, limit)
        except NotFoundError:
            if not (sizes := self._list_part_sizes(path)):
                raise
            if sum(sizes) > limit:
                raise LimitError(f"{path}: more than the {limit:,} bytes allowed") from None
            with JoinedFile(partial(self._open_part, path), sizes) as file:
                return file.read()

    def get_size(self, path: str) -> int | None:
        """Return the size of a regular file."""
        names = bundle_paths.split_path(path)
        if bundle_files.may_be_in_next(self._directory, path):
            size = self._directory.get_size(bundle_paths.NEXT, *names)
            if size is not None:
                return size
        size = self._directory.get_size(*names)
        return sum(self._list_part_sizes(path)) or None if size is None else size

    def has_next(self) -> bool:
        """Return whether ``bundle.next`` exists."""
        return bundle_files.has_next(self._path)

    def check_connected(self) -> None:
        """Check that the path still refers to the opened directory."""
        self._directory.check_connected()

    def close(self) -> None:
        """Close the directory; a later use opens it again."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _list_part_sizes(self, path: str) -> list[int]:
        """Return the sizes of the parts of a blob; none for other paths."""
        if bundle_paths.parse_digest(path) is None:
            return []
        *folders, name = bundle_paths.split_path(path)
        try:
            with self._directory.enter(*folders) as folder:
                return blob_parts.list_sizes(folder, name)
        except (NotFoundError, MalformedError):
            return []

    def _open_part(self, path: str, number: int, offset: int) -> RegularFile:
        """Open a part of the blob at ``path``."""
        return self._directory.open_file(*f"{path}.{number:03}".split("/"), offset=offset)

    @property
    def _directory(self) -> Directory:
        with self._lock:
            if self._opened is None:
                try:
                    self._opened = Directory.open(self._path)
                except NotFoundError:
                    raise NotFoundError(f"{self._path}: no such directory") from None
            return self._opened
