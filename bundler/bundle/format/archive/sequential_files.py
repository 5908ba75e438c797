"""The files of a bundle in an archive that is read once, in its order: those kept in memory."""

from __future__ import annotations

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.reading.files import BundleFiles
from bundler.errors import LimitError, NotFoundError


class SequentialFiles(BundleFiles):
    """The files of an archive at ``location``, of which some are in memory, by path.

    The caller opens and closes the stream of the archive.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        self._files: dict[str, bytes] = {}

    def list_signatures(self) -> list[str]:
        """Return the names of the signatures that are in memory."""
        return sorted(filter(bundle_paths.parse_signature_name, self._files))

    def read(self, path: str, limit: int) -> bytes:
        """Return a file that is in memory.

        Raises:
            NotFoundError: it is not in the archive, or not in memory.
            LimitError: it is longer than ``limit``.
        """
        data = self._get(path)
        if len(data) > limit:
            raise LimitError(f"{self.location}: {path}: more than the {limit:,} bytes allowed")
        return data

    def has_next(self) -> bool:
        """Return False: an archive is written as a whole."""
        return False

    def check_connected(self) -> None:
        """Do nothing: a stream that ends too early is refused when it is read."""

    def close(self) -> None:
        """Do nothing: the caller closes the stream."""

    def _get(self, path: str) -> bytes:
        if path not in self._files:
            raise NotFoundError(f"{self.location}: no {path[: bundle_paths.MAX_PATH]}")
        return self._files[path]
