"""The log of a site: append-only JSON lines, each with the digest of the one before.

An entry is one line of canonical JSON. ``number`` counts from 1, ``previous`` is the SHA-256 of the
previous line with its line end, and the *head* is the SHA-256 of the last line. A line without a
line end was interrupted while it was written, and never counted; the next entry replaces it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.records import permissions
from bundler.content.files.atomic_write import sync_directory
from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import LimitError, NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.content.files.safe_directory import Directory

NAME = "log.jsonl"
TYPE = "airbundle/log/v1"
MAX_LOG = 256 * 1024 * 1024
MAX_LINE = 1024 * 1024

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    digest: Digest
    """The SHA-256 of the line, with its line end."""
    table: Table

    @property
    def event(self) -> str:
        """The kind of event, for example ``import``."""
        return self.table.text("event")

    @property
    def time(self) -> datetime:
        """The time of the event."""
        return timestamps.parse_utc(self.table.text("time"), self.table.subject)

    @property
    def value(self) -> dict[str, Any]:
        """The entry as JSON."""
        return dict(self.table.value)


@dataclass(frozen=True, slots=True)
class Log:
    """The entries of a log whose chain is intact."""

    entries: tuple[Entry, ...] = ()
    size: int = 0
    """The size of the complete lines, in bytes."""
    interrupted: bytes = b""
    """The beginning of a line whose writing was interrupted."""

    @property
    def head(self) -> Digest | None:
        """The digest of the last line; None: the log is empty."""
        return self.entries[-1].digest if self.entries else None


def read(directory: Directory) -> Log | None:
    """Read the log in ``directory`` and verify its chain; None if there is no log.

    Raises:
        MalformedError: a line is not an entry, or does not follow the line before it.
        LimitError, MediumError: the log is too large, or cannot be read.
    """
    try:
        raw = directory.read(NAME, limit=MAX_LOG)
    except NotFoundError:
        return None
    return parse(raw, str(directory.path / NAME))


def parse(raw: bytes, subject: str) -> Log:
    """Parse the bytes of a log and verify its chain.

    Raises:
        MalformedError: a line is not an entry, or does not follow the line before it.
        LimitError: a line is too long.
    """
    size = raw.rfind(b"\n") + 1
    entries: list[Entry] = []
    previous: Digest | None = None
    for number, line in enumerate(raw[:size].splitlines(keepends=True), 1):
        name = f"{subject}: line {number}"
        value = strict.load_canonical(line[:-1], subject=name, limit=MAX_LINE)
        table = Table(value, name)
        if table.value.get("_type") != TYPE:
            raise table.problem(f"not an entry of the log (expected {TYPE!r})")
        stated = table.digest("previous") if "previous" in table else None
        if table.integer("number") != number or stated != previous:
            raise table.problem("does not follow the line before it")
        timestamps.parse_utc(table.text("time"), table.subject)
        table.text("event")
        previous = Digest.of(line)
        entries.append(Entry(previous, table))
    return Log(tuple(entries), size, raw[size:])


def append(
    directory: Directory, log: Log, event: str, moment: datetime, members: dict[str, Any]
) -> Log:
    """Write one entry after those of ``log``, durably; return the longer log.

    The caller holds the lock of the directory, and has read ``log`` from it since.

    Raises:
        NoSpaceError, MediumError: it cannot be written; the log is unchanged.
    """
    path = directory.path / NAME
    longer, line = extend(log, event, moment, members, subject=str(path))
    directory.check_connected()
    try:
        fd = permissions.open_file(directory, NAME, _FLAGS)
        try:
            _write(fd, line, log.size)
        finally:
            os.close(fd)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot write") from error
    sync_directory(directory)
    return longer


def extend(
    log: Log, event: str, moment: datetime, members: dict[str, Any], *, subject: str
) -> tuple[Log, bytes]:
    """Return ``log`` with one more entry, and the line to write.

    Raises:
        LimitError: the entry is too large.
    """
    number = len(log.entries) + 1
    value: dict[str, Any] = {
        "_type": TYPE,
        "number": number,
        "time": timestamps.format_utc(moment),
        "event": event,
        **members,
    }
    if log.head is not None:
        value["previous"] = log.head.text
    if log.interrupted:
        value["interrupted"] = {
            "size": len(log.interrupted),
            "digest": Digest.of(log.interrupted).text,
        }
    line = strict.dumps(value) + b"\n"
    if len(line) > MAX_LINE:
        raise LimitError(f"{subject}: entry too large (expected at most {MAX_LINE:,} bytes)")
    entry = Entry(Digest.of(line), Table(value, f"{subject}: line {number}"))
    return Log((*log.entries, entry), log.size + len(line)), line


def _write(fd: int, line: bytes, offset: int) -> None:
    """Write ``line`` at ``offset``, where an interrupted line may be."""
    if os.fstat(fd).st_size != offset:
        os.ftruncate(fd, offset)
    try:
        written = 0
        while written < len(line):
            written += os.pwrite(fd, line[written:], offset + written)
        os.fsync(fd)
    except OSError:
        os.ftruncate(fd, offset)
        raise
