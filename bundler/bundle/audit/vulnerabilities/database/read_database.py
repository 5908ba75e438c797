"""Find the records of a database: JSON files in directories and zip archives.

Only one record is in memory at a time.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.audit.vulnerabilities.database.zip_files import (
    ZippedFileError,
    list_files,
    read_file,
)
from bundler.bundle.audit.vulnerabilities.result import RecordProblem
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import LimitError, NotFoundError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

    from bundler.bundle.audit.vulnerabilities.result import ProblemCode
    from bundler.cancel import Cancellation

MAX_RECORD = 16 * 1024 * 1024
"""The maximum size of a record in bytes."""
MAX_FILES = 5_000_000
"""The maximum number of files in a database."""
MAX_TOTAL = 32 * 1024**3
"""The maximum size of all records in bytes."""
MAX_PROBLEMS = 50
"""The maximum number of problems that are kept; the rest is counted."""
_INDEXES = ("index/db.json", "index/modules.json", "index/vulns.json")
"""Files of the database of Go that are not records."""


@dataclass(slots=True)
class DatabaseReader:
    """Reads the records of a database once. For one thread."""

    path: Path
    cancellation: Cancellation
    unreadable: int = 0
    problems: list[RecordProblem] = field(default_factory=list)
    """The first of the files that cannot be read; callers add records that are malformed."""
    _digest: Digest | None = None
    _files: int = 0
    _size: int = 0

    @property
    def digest(self) -> Digest:
        """The digest of the database; set when all records have been read."""
        assert self._digest is not None  # noqa: S101 - see the docstring
        return self._digest

    def read(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the content of each record.

        Raises:
            NotFoundError, MediumError: the database cannot be read.
            MalformedError: an archive is damaged, or a file is a pipe or a device.
            LimitError: there are too many records.
        """
        if not self.path.is_dir():
            if not self.path.is_file():
                raise NotFoundError(f"{self.path}: no such file or directory")
            with _open(self.path) as stream:
                self._digest = Digest("sha256:" + _hash(stream))
                yield from self._read_file(self.path, stream)
            return

        def refuse(error: OSError) -> None:
            raise to_bundler_error(error, self.path, "cannot read")

        lines = hashlib.sha256()
        for directory, directories, names in os.walk(self.path, onerror=refuse):
            directories.sort()
            for name in sorted(name for name in names if name.endswith((".json", ".zip"))):
                path = Path(directory, name)
                with _open(path) as stream:
                    line = f"{_hash(stream)}  {path.relative_to(self.path)}\n"
                    lines.update(line.encode(errors="surrogateescape"))
                    yield from self._read_file(path, stream)
        self._digest = Digest("sha256:" + lines.hexdigest())

    def add_problem(self, code: ProblemCode, path: str, problem: str) -> None:
        """Count a record that cannot be read."""
        self.unreadable += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(RecordProblem(code, path, problem))

    def _read_file(self, path: Path, stream: BufferedReader) -> Iterator[tuple[str, bytes]]:
        if path.suffix != ".zip":
            stream.seek(0)
            raw = stream.read(MAX_RECORD + 1)
            if len(raw) > MAX_RECORD:
                self.add_problem("record-too-large", str(path), f"over {MAX_RECORD:,} bytes")
            elif self._count(str(path), len(raw)):
                yield str(path), raw
            return
        for file in list_files(stream, str(path)):
            name = f"{path}!/{file.name}"
            if file.name.endswith(".zip"):
                self.add_problem("record-unsupported", name, "an archive in an archive")
            if not file.name.endswith(".json"):
                continue
            # Counted before it is read, since many entries may share one damaged content.
            is_record = self._count(name, min(file.size, MAX_RECORD))
            try:
                raw = read_file(stream, file, MAX_RECORD)
            except ZippedFileError as error:
                code: ProblemCode = "record-too-large" if error.is_too_large else "record-malformed"
                self.add_problem(code, name, error.problem)
                continue
            if is_record:
                yield name, raw

    def _count(self, path: str, size: int) -> bool:
        """Count a file; return whether it is a record."""
        self._files += 1
        self._size += size
        if self._files % 1000 == 0:
            self.cancellation.check()
        if self._files > MAX_FILES or self._size > MAX_TOTAL:
            raise LimitError(
                f"{self.path}: too many records (expected at most {MAX_FILES:,}, and"
                f" {MAX_TOTAL:,} bytes)"
            )
        return not path.endswith(_INDEXES)


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
    try:
        with RegularFile.open(path) as file, open(file.fileno(), "rb", closefd=False) as stream:
            yield stream
    except OSError as error:
        raise to_bundler_error(error, path, "cannot read") from error


def _hash(stream: BufferedReader) -> str:
    return hashlib.file_digest(stream, "sha256").hexdigest()
