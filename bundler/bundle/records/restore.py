"""Restore damaged records of a site: begin a new log with the serials that are still known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.records import (
    log as logs,
    pending,
    permissions,
    site,
    state_file,
    streams as states,
)
from bundler.content.files import atomic_write
from bundler.errors import BundlerError, ConflictError, LostRecordsError, NotFoundError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.records.streams import Streams
    from bundler.content.files.safe_directory import Directory


def restore(path: Path, moment: datetime, reason: str) -> site.Records:
    """Begin a new log with the highest serials that the log and the state still show.

    The former files are kept under other names.

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
        former, kept = _recover(directory), {}
        for name in (logs.NAME, state_file.NAME, pending.NAME):
            try:
                raw = directory.read(name, limit=logs.MAX_LOG)
            except NotFoundError:
                continue
            digest = Digest.of(raw)
            copy = f"{name}.{digest.hex[:16]}.former"
            atomic_write.write_bytes_in(
                directory, copy, raw, mode=permissions.get_file_mode(directory)
            )
            kept[name] = digest.text
        members = {
            "reason": reason,
            "former": kept,
            "streams": {name: state.to_json() for name, state in former.items()},
        }
        log, line = logs.extend(
            logs.Log(), states.RESTORE, moment, members, subject=str(path / logs.NAME)
        )
        # Between these two lines, the state names an entry that the log does not have.
        atomic_write.write_bytes_in(
            directory, logs.NAME, line, mode=permissions.get_file_mode(directory)
        )
        state_file.write(directory, log, former)
        pending.remove(directory)
        return site.Records(path, log, former)


def _is_damaged(directory: Directory) -> bool:
    try:
        site.read_directory(directory)
    except LostRecordsError:
        return True
    return False


def _recover(directory: Directory) -> Streams:
    """Return the highest serial of each stream in the readable parts of the log and the state."""
    found: list[Streams] = []
    try:
        state = state_file.read(directory)
        found.append(state[2] if state else {})
    except BundlerError:
        pass
    try:
        raw = directory.read(logs.NAME, limit=logs.MAX_LOG)
    except BundlerError:
        raw = b""
    found.append(_replay_readable(raw))
    try:
        entry = pending.parse(directory)
        found.append({} if entry is None else states.replay([entry]))
    except BundlerError:
        pass
    merged: Streams = {}
    for streams in found:
        for name, item in streams.items():
            if name not in merged or item.serial > merged[name].serial:
                merged[name] = item
    return merged


def _replay_readable(raw: bytes) -> Streams:
    """Return the state after the longest part of the log whose chain is intact."""
    lines = raw.splitlines(keepends=True)
    low, high = 0, len(lines)
    result: Streams = {}
    while low <= high:
        middle = (low + high) // 2
        try:
            result = states.replay(logs.parse(b"".join(lines[:middle]), logs.NAME).entries)
        except BundlerError:
            high = middle - 1
        else:
            low = middle + 1
    return result
