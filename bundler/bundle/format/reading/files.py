"""The files of a bundle, read by path from wherever they are stored."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol, Self

from bundler.content.streams import Reader

if TYPE_CHECKING:
    from bundler.bundle.format.files.bundle_files import DirectoryScan


class StoredFile(Reader, Protocol):
    """Stream of a file, and a context manager that closes it. For one thread."""

    size: int
    """The size of the whole file in bytes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class BundleFiles(Protocol):
    """The files of a bundle, by relative paths with slashes; nothing is verified.

    Safe for several threads. A context manager that closes it.
    """

    location: str
    """The location as the user wrote it, for messages and commands."""

    accepts_partial: bool = False
    """Whether an archive that is cut, or of which parts are missing, can be opened."""

    @property
    def is_partial(self) -> bool:
        """Whether it is such an archive; only with ``accepts_partial``."""
        return False

    @abstractmethod
    def scan(self) -> DirectoryScan:
        """List all files, without opening one.

        Raises:
            NotFoundError: the location does not exist.
            MediumError: it cannot be read.
            LimitError: it contains more files than a bundle may have.
        """

    @abstractmethod
    def list_names(self, folder: str) -> list[str]:
        """Return the names in a directory of the bundle, sorted; none if it does not exist.

        ``folder`` is its path; empty: the top.

        Raises:
            NotFoundError, MediumError: the location cannot be read.
        """

    @abstractmethod
    def list_signatures(self) -> list[str]:
        """Return the names of the signatures of the bundle, unless they are for cosign.

        Raises:
            NotFoundError, MalformedError, MediumError: the location cannot be read.
        """

    @abstractmethod
    def open(self, path: str, offset: int = 0, *, uncached: bool = False) -> StoredFile:
        """Open a file at ``offset``; the caller closes it.

        With ``uncached``, content comes from the medium and not from the page cache.

        Raises:
            NotFoundError: it does not exist.
            MalformedError: not a regular file, or reached through a link.
            MediumError: it cannot be read.
        """

    @abstractmethod
    def read(self, path: str, limit: int) -> bytes:
        """Read a small file; ``limit`` is its maximum size in bytes.

        Raises:
            LimitError: it is larger.
            NotFoundError, MalformedError, MediumError: it cannot be opened, see ``open``.
        """

    @abstractmethod
    def get_size(self, path: str) -> int | None:
        """Return the size of a regular file in bytes; None if there is none.

        Raises:
            NotFoundError, MediumError: the location cannot be read.
        """

    @abstractmethod
    def has_next(self) -> bool:
        """Return whether an interrupted renewal has left its seal, see ``next_seal``."""

    @abstractmethod
    def check_connected(self) -> None:
        """Check that the opened medium is still the one at the location.

        Raises:
            DisconnectedMediumError: it is not.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the location."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
