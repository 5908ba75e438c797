"""The file ``pending.jsonl`` of the records: the line of an import that is being recorded.

It is written before the receipt that it names, and removed when the line is in the log. If a run is
interrupted in between, the next one that writes to the records adds the line, with the time of its
discovery as ``recovered``. So a receipt that neither the log nor this file names is not the result
of an interruption.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler.bundle.records.log import log as logs
from bundler.bundle.records.permissions import get_file_mode
from bundler.content.files import atomic_write
from bundler.errors import NotFoundError
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from bundler.bundle.records.log.log import Entry, Log
    from bundler.content.files.safe_directory import Directory

NAME = "pending.jsonl"
_CHAIN = ("_type", "number", "time", "event", "previous", "interrupted")
"""The members that ``log.extend`` adds."""


def write(
    directory: Directory, log: Log, event: str, moment: datetime, members: dict[str, Any]
) -> None:
    """Write the line that will follow ``log``, durably.

    Raises:
        LimitError: the line is too large.
        NoSpaceError, MediumError: it cannot be written.
    """
    _, line = logs.extend(log, event, moment, members, subject=str(directory.path / NAME))
    atomic_write.write_bytes_in(directory, NAME, line, mode=get_file_mode(directory))


def parse(directory: Directory) -> Entry | None:
    """Read the line, without comparing it with the log; None if there is none.

    Raises:
        MalformedError, LimitError, MediumError: it cannot be read.
    """
    try:
        raw = directory.read(NAME, limit=logs.MAX_LINE)
    except NotFoundError:
        return None
    subject = str(directory.path / NAME)
    value = strict.load_canonical(raw.removesuffix(b"\n"), subject=subject, limit=logs.MAX_LINE)
    return logs.Entry(Digest.of(raw), Table(value, subject))


def read(directory: Directory, log: Log) -> Entry | None:
    """Read the line of an import that an interrupted run has not added to ``log``.

    None: there is none, or the log contains it.

    Raises:
        MalformedError: it does not follow the last line of the log.
        LimitError, MediumError: it cannot be read.
    """
    if (entry := parse(directory)) is None:
        return None
    table, receipt = entry.table, entry.table.table("receipt").value
    number = table.integer("number")
    if any(item.table.table("receipt").value == receipt for item in log.entries[number - 1 :][:1]):
        return None
    previous = table.digest("previous") if "previous" in table else None
    if number != len(log.entries) + 1 or previous != log.head:
        raise table.problem("does not follow the last line of the log")
    return entry


def describe_recovery(entry: Entry) -> dict[str, Any]:
    """Return the members of the entry that an interrupted run has not added to the log."""
    members = {name: value for name, value in entry.value.items() if name not in _CHAIN}
    return members | {"recovered": timestamps.format_utc(datetime.now(UTC))}


def remove(directory: Directory) -> None:
    """Remove the file if it exists.

    Raises:
        MediumError: it cannot be removed.
    """
    if NAME in directory.list_names():
        directory.remove(NAME)
