"""A file in a layer that may state packages, with its content as a stream."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bundler.bundle.audit.packages.package import FindingCode, Statement
    from bundler.oci.digest import Digest

_SPOOLED = 4 * 1024 * 1024


class PackageFileError(Exception):
    """A file that cannot be read as its ecosystem expects; it becomes a finding."""

    def __init__(self, problem: str, code: FindingCode = "package-file-malformed") -> None:
        super().__init__(problem)
        self.problem = problem
        self.code = code


class FoundFile:
    """A file whose path or first bytes a detector matches. Its content can be read once."""

    def __init__(self, path: str, layer: Digest, size: int, chunks: Iterable[memoryview]) -> None:
        self.path = path
        self.layer = layer
        self.size = size
        self.chunks = chunks
        """The content; each chunk is valid until the next one."""
        self.reread: Detector | None = None
        """Set by a parser: the detector that must read the file, from its beginning."""

    def read(self, limit: int) -> bytes:
        """Return the content.

        Raises:
            PackageFileError: it is larger than ``limit`` bytes.
        """
        self._check_size(limit)
        return b"".join(map(bytes, self.chunks))

    def read_text(self, limit: int) -> str:
        """Return the content as text; bytes that are not UTF-8 are replaced."""
        return self.read(limit).decode(errors="replace")

    def read_lines(self, limit: int) -> Iterator[str]:
        """Yield the lines without their line feed; only a part of the content is in memory.

        Raises:
            PackageFileError: it is larger than ``limit`` bytes.
        """
        self._check_size(limit)
        rest = b""
        for chunk in self.chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
        yield rest.decode(errors="replace")

    @contextmanager
    def spool(self, limit: int) -> Iterator[IO[bytes]]:
        """Return the content as a temporary file without a name, which is deleted at the end.

        Raises:
            PackageFileError: it is larger than ``limit`` bytes.
            MediumError, NoSpaceError: temporary files cannot be written.
        """
        self._check_size(limit)
        with tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as file:
            try:
                for chunk in self.chunks:
                    file.write(chunk)
                file.seek(0)
            except OSError as error:
                directory = Path(tempfile.gettempdir())
                raise to_bundler_error(error, directory, "cannot write temporary files") from error
            yield file

    def _check_size(self, limit: int) -> None:
        if self.size > limit:
            raise PackageFileError(
                f"too large (expected at most {limit:,} bytes, got {self.size:,})",
                "package-file-too-large",
            )


@dataclass(frozen=True, slots=True)
class Detector:
    """The files that one ecosystem reads, and its parser."""

    matches: Callable[[str], bool]
    """Whether a path may belong to the ecosystem; called only for the names and endings below."""
    parse: Callable[[FoundFile], Iterable[Statement]]
    """Yields what a file states, or raises PackageFileError."""
    names: frozenset[str] = frozenset()
    """Names of files, without their directory."""
    endings: frozenset[str] = frozenset()
    """The ends of names, after the last dot."""
    directories: frozenset[str] = frozenset()
    """Directories of which each file is read."""
    magics: tuple[bytes, ...] = ()
    """First bytes of files, whatever their names are."""
