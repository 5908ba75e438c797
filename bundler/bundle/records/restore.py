"""Restore damaged records of a site: begin a new log with the serials that are still known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.records import permissions, receipts, site
from bundler.bundle.records.log import log as logs, pending
from bundler.bundle.records.state import state_file, streams as states, trust_file_state
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    BundlerError,
    ConflictError,
    IntegrityError,
    LimitError,
    LostRecordsError,
    NotFoundError,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.records.state.streams import Streams
    from bundler.bundle.records.state.trust_file_state import TrustFileState


@dataclass(frozen=True, slots=True)
class FormerLog:
    """A log that ``restore`` has replaced."""

    restored: logs.Entry
    """The entry of the restoration, in a later log."""
    name: str
    """The name of its file; empty: there was none."""
    entries: tuple[logs.Entry, ...]
    """The entries before the damage."""
    is_whole: bool


def restore(
    path: Path, moment: datetime, reason: str, operator: Mapping[str, str] | None = None
) -> site.Records:
    """Begin a new log with the highest serials that the log and the state still show.

    The former files are kept under other names. ``operator`` is the member of that name in the
    entry.

    Raises:
        ConflictError: the records are whole.
        LockedError, NoSpaceError, MediumError: the records cannot be written.
    """
    with site.open_for_writing(path) as directory:
        if not _is_damaged(directory):
            raise ConflictError(
                f"{path}: the records are whole, so there is nothing to restore",
                path=str(path),
                hint="to forget one stream, run airbundle stream reset STREAM --reason TEXT",
            )
        (former, trust_file), kept = _recover(directory), {}
        for name in (logs.NAME, state_file.NAME, pending.NAME):
            try:
                raw = directory.read(name, limit=logs.MAX_LOG)
            except NotFoundError:
                continue
            digest = Digest.of(raw)
            copy = format_former_name(name, digest)
            atomic_write.write_bytes_in(
                directory, copy, raw, mode=permissions.get_file_mode(directory)
            )
            kept[name] = digest.text
        members: dict[str, Any] = {
            "reason": reason,
            "former": kept,
            "streams": {name: state.to_json() for name, state in former.items()},
        }
        if operator is not None:
            members["operator"] = dict(operator)
        if trust_file is not None:
            members[trust_file_state.MEMBER] = trust_file.to_json()
        log, line = logs.extend(
            logs.Log(), states.RESTORE, moment, members, subject=str(path / logs.NAME)
        )
        # Between these two lines, the state names an entry that the log does not have.
        atomic_write.write_bytes_in(
            directory, logs.NAME, line, mode=permissions.get_file_mode(directory)
        )
        state_file.write(directory, log, former, trust_file)
        pending.remove(directory)
        return site.Records(path, log, former, trust_file=trust_file)


def _is_damaged(directory: Directory) -> bool:
    try:
        site.read_directory(directory)
    except LostRecordsError:
        return True
    return False


def _recover(directory: Directory) -> tuple[Streams, TrustFileState | None]:
    """Return the highest serials and trust file in the readable parts of the log and the state."""
    found: list[Streams] = []
    trusted: list[TrustFileState | None] = []
    try:
        state = state_file.read(directory)
        found.append(state[2] if state else {})
        trusted.append(state[3] if state else None)
    except BundlerError:
        pass
    try:
        raw = directory.read(logs.NAME, limit=logs.MAX_LOG)
    except BundlerError:
        raw = b""
    readable = parse_readable(raw).entries
    found.append(states.replay(readable))
    trusted.append(trust_file_state.replay(readable))
    try:
        entry = pending.parse(directory)
        found.append({} if entry is None else states.replay([entry]))
        trusted.append(None if entry is None else trust_file_state.replay([entry]))
    except BundlerError:
        pass
    merged: Streams = {}
    for streams in found:
        for name, item in streams.items():
            if name not in merged or item.serial > merged[name].serial:
                merged[name] = item
    known = [item for item in trusted if item is not None]
    return merged, max(known, key=lambda item: item.version, default=None)


def find_unrecovered(records: site.Records) -> list[str]:
    """Return a line for each stream of which a receipt has a higher serial than was recovered.

    Raises:
        MediumError: the receipts cannot be read.
    """
    lines = []
    for stream, receipt in sorted(receipts.find_highest(records.path / site.RECEIPTS).items()):
        known = records.streams.get(stream)
        if known is not None and known.serial >= receipt.serial:
            continue
        problem = f"only serial {known.serial}" if known else "no serial"
        lines.append(
            f"stream {stream}: {problem} could be recovered; its highest one in the receipts is"
            f" {receipt.serial} ({receipt.name}): adopt it again with this serial or a higher one"
        )
    return lines


def read_former_logs(records: site.Records) -> Iterator[FormerLog]:
    """Yield the logs that ``restore`` has replaced, the latest first, each up to its damage.

    Raises:
        MediumError: a file cannot be read.
    """
    pending_entries = [entry for entry in records.log.entries if entry.event == states.RESTORE]
    seen: set[str] = set()
    while pending_entries:
        entry = pending_entries.pop()
        text = entry.table.table("former").optional_text(logs.NAME)
        if text is None or text in seen:  # the log was lost
            yield FormerLog(entry, "", (), is_whole=False)
            continue
        seen.add(text)
        digest = Digest(text)
        name = format_former_name(logs.NAME, digest)
        try:
            with Directory.open(records.path) as directory:
                raw = directory.read(name, limit=logs.MAX_LOG)
            digest.verify(raw, name)
        except (IntegrityError, LimitError, NotFoundError):
            yield FormerLog(entry, name, (), is_whole=False)
            continue
        readable = parse_readable(raw)
        yield FormerLog(entry, name, readable.entries, is_whole=readable.size == len(raw))
        pending_entries += [item for item in readable.entries if item.event == states.RESTORE]


def list_entries(records: site.Records) -> list[logs.Entry]:
    """Return the entries of former logs, of the log, and of an import that was interrupted.

    Raises:
        MediumError: a former log cannot be read.
    """
    former = [entry for log in read_former_logs(records) for entry in log.entries]
    pending = [] if records.pending is None else [records.pending]
    return [*former, *records.log.entries, *pending]


def format_former_name(name: str, digest: Digest) -> str:
    """Return the name under which ``restore`` keeps a file with this digest."""
    return f"{name}.{digest.hex[:16]}.former"


def parse_readable(raw: bytes) -> logs.Log:
    """Return the longest part of the log whose chain and entries are intact."""
    lines = raw.splitlines(keepends=True)
    low, high = 0, len(lines)
    result = logs.Log()
    while low <= high:
        middle = (low + high) // 2
        try:
            parsed = logs.parse(b"".join(lines[:middle]), logs.NAME)
            states.replay(parsed.entries)
            trust_file_state.replay(parsed.entries)
        except BundlerError:
            high = middle - 1
        else:
            result, low = parsed, middle + 1
    return result
