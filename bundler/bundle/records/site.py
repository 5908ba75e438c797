"""The records directory of a site.

``log.jsonl``        the log: one entry for each import and each change of the state
``state.json``       the state of each stream, and how far the log had come
``receipts/``        the receipts of imports
``evidence/``        what was known about the bundles, see ``evidence``
``pending.jsonl``    the line of an import that is being recorded, see ``pending``
``locks/STREAM``     locked while a bundle of the stream is imported

The state is written before the directories: records with one of them and without a state were lost.
The log and the state are two witnesses: the state is what the log amounts to, and names the last
line that it includes. If one of them is missing, damaged or older than the other, nothing is
imported until the operator restores it. The log is written first: its entries after the line that
the state names were written by a run that was interrupted before it wrote the state.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.records import permissions, receipts
from bundler.bundle.records.evidence.objects import FOLDER
from bundler.bundle.records.log import log as logs, pending
from bundler.bundle.records.state import state_file, streams as states, trust_file_state
from bundler.content.files import atomic_write, part_files
from bundler.content.files.os_errors import measure_free_space, to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import WriteLock, hold
from bundler.errors import (
    IntegrityError,
    LimitError,
    LockedError,
    LostRecordsError,
    MediumError,
    MissingFileError,
    NoSpaceError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.records.receipts import SignedReceipt
    from bundler.bundle.records.state.streams import Streams, StreamState
    from bundler.bundle.records.state.trust_file_state import TrustFileState
    from bundler.oci.digest import Digest

RECEIPTS = "receipts"
MIN_FREE = 1024 * 1024
"""The space in bytes that must be free for the records before an import."""
_LOCKS = "locks"
_WITNESSES = (_LOCKS, RECEIPTS, FOLDER)
"""The directories that exist only beside a state."""
_LOCK_TIMEOUT = 30.0  # seconds; other runs hold the lock only while they write an entry
_DIRECTORY_MODE = 0o700
_CHOOSE = (
    "make the directory of the records writable, for example mount it so; another directory would"
    " be a new site (--records DIRECTORY)"
)
_RESTORE = "airbundle stream restore --reason TEXT"


@dataclass(frozen=True, slots=True)
class Records:
    """The records as they were read."""

    path: Path
    log: logs.Log = field(default_factory=logs.Log)
    streams: Streams = field(default_factory=dict)
    pending: logs.Entry | None = None
    """The entry of an import whose recording was interrupted; the next run that writes adds it."""
    trust_file: TrustFileState | None = None
    """The latest version of the trust file of the site; None: none was used."""

    @property
    def is_new(self) -> bool:
        """Whether this site has never adopted a stream."""
        return not any(states.is_change(entry) for entry in self.log.entries)

    @property
    def has_trust_file(self) -> bool:
        """Whether a bundle was imported by a trust file of the site."""
        used = any(state.trust is not None for state in self.streams.values())
        return used or self.trust_file is not None


def read(path: Path) -> Records:
    """Read the records in the directory ``path``; they are empty if it does not exist.

    The streams include an import whose recording was interrupted.

    Raises:
        LostRecordsError: the log or the state is missing, damaged, or older than the other.
        MediumError: they cannot be read, or ``path`` is not a directory.
    """
    try:
        directory = Directory.open(path)
    except (NotFoundError, MissingFileError):
        if os.path.lexists(path):  # a file, or a link to a medium that is not mounted
            raise MediumError(f"{path}: not a directory", path=str(path), hint=_CHOOSE) from None
        return Records(path)
    with directory, hold(directory, shared=True, timeout=_LOCK_TIMEOUT):
        records = read_directory(directory)
    if records.pending is None:
        return records
    return replace(
        records,
        streams=states.replay([records.pending], records.streams),
        trust_file=trust_file_state.replay([records.pending], records.trust_file),
    )


def append(path: Path, event: str, moment: datetime, members: dict[str, Any]) -> Records:
    """Add an entry to the log, then write the state; return the records after it.

    Raises:
        LostRecordsError: as for ``read``.
        LockedError: another process is writing to the directory.
        NoSpaceError, MediumError: the records cannot be written.
    """
    with open_for_writing(path) as directory:
        return _append(directory, _recover(directory), event, moment, members)


def record_import(
    path: Path, receipt: SignedReceipt, stem: str, moment: datetime, members: dict[str, Any]
) -> Path:
    """Write the receipt of an import, and its entry to the log; return the path of the receipt.

    ``stem`` is the beginning of the name of the receipt. If this is interrupted, the next run that
    writes to the records completes it.

    Raises:
        LostRecordsError, LockedError, NoSpaceError, MediumError: as for ``append``.
    """
    with open_for_writing(path) as directory:
        records = _recover(directory)
        target = receipts.choose_path(path / RECEIPTS, stem, records.log.entries)
        described = {"name": target.name, "digest": receipt.digest.text}
        members = members | {"receipt": described}
        pending.write(directory, records.log, states.IMPORT, moment, members)
        receipt.write(target, mode=permissions.get_file_mode(directory))
        _append(directory, records, states.IMPORT, moment, members)
        pending.remove(directory)
        return target


def _append(
    directory: Directory, records: Records, event: str, moment: datetime, members: dict[str, Any]
) -> Records:
    if not records.log.entries:
        state_file.write(directory, records.log, records.streams)
    log = logs.append(directory, records.log, event, moment, members)
    streams = states.replay(log.entries[-1:], records.streams)
    trust_file = trust_file_state.replay(log.entries[-1:], records.trust_file)
    state_file.write(directory, log, streams, trust_file)
    return Records(records.path, log, streams, trust_file=trust_file)


def _recover(directory: Directory) -> Records:
    """Read the records, and add the entry of a run that was interrupted."""
    records = read_directory(directory)
    if (entry := records.pending) is not None:
        members = pending.describe_recovery(entry)
        records = _append(directory, records, entry.event, entry.time, members)
    pending.remove(directory)
    return records


def prepare(path: Path) -> bool:
    """Create the directory and its ``receipts``, and check that they can be written.

    Without a state, that of a new site is written. Unfinished files of an interrupted run are
    removed.

    Returns:
        Whether the entry of an import that was interrupted has been added to the log.

    Raises:
        LostRecordsError: the records are damaged, and a run was interrupted.
        LockedError, NoSpaceError, MediumError: they cannot be written.
    """
    recovered = False
    try:
        with open_for_writing(path) as directory:
            if pending.NAME in directory.list_names():
                recovered = "recovered" in _recover(directory).log.entries[-1].table
            names = set(directory.list_names())
            if not {state_file.NAME, logs.NAME, *_WITNESSES} & names:
                state_file.write(directory, logs.Log(), {})
            for name in (RECEIPTS, FOLDER):
                permissions.create_directory(directory, name)
            for folder in (path, path / RECEIPTS, path / FOLDER):
                if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
                    number = errno.EACCES if folder.is_dir() else errno.EEXIST
                    error = OSError(number, os.strerror(number))
                    raise to_bundler_error(error, folder, "cannot write")
                with Directory.open(folder) as opened:
                    part_files.remove_stale_parts(opened)
        check_space(path)
    except LockedError:
        raise
    except MediumError as error:
        error.hint = "free space for the records" if isinstance(error, NoSpaceError) else _CHOOSE
        raise
    return recovered


def check_space(path: Path) -> None:
    """Check that an entry has room: an import without one would have changed the target.

    Raises:
        NoSpaceError: less than ``MIN_FREE`` bytes are free.
    """
    free = measure_free_space(path)
    if free is not None and free < MIN_FREE:
        error = NoSpaceError(str(path), needed=MIN_FREE, free=free)
        error.hint = "free space for the records"
        raise error


@contextmanager
def lock_stream(path: Path, stream: str, *, shared: bool) -> Iterator[None]:
    """Lock a stream against other imports; several may import the recorded bundle (``shared``).

    Raises:
        LockedError: another process imports a bundle of the stream.
        MediumError: the lock file cannot be created.
    """
    with open_for_writing(path) as directory:
        permissions.create_directory(directory, _LOCKS)
    with Directory.open(path) as directory, directory.enter(_LOCKS) as locks:
        lock = _LockFile(locks, stream)
        try:
            held = WriteLock.acquire(lock, locks, f".{stream}.airbundle-lock", shared=shared)
            try:
                yield
            finally:
                held.release()
        finally:
            os.close(lock.fd)


def get_stream(records: Records, stream: str) -> StreamState:
    """Return the state of one stream.

    Raises:
        NotFoundError: the site has not adopted it.
    """
    if stream not in records.streams:
        known = ", ".join(sorted(records.streams)) or "none"
        raise NotFoundError(
            f"{records.path}: no stream {stream[:140]!r} (known: {known})",
            hint="airbundle stream show",
        )
    return records.streams[stream]


def find_entry(records: Records, head: Digest) -> logs.Entry:
    """Return the entry of the log whose digest is ``head``.

    Raises:
        LostRecordsError: the log does not contain it.
    """
    for entry in records.log.entries:
        if entry.digest == head:
            return entry
    raise LostRecordsError(
        str(records.path / logs.NAME),
        f"contains no entry with the digest {head}, although it is whole in itself"
        f" (its head is {records.log.head or 'empty'})",
        hint="the digest is of other records or was copied wrongly, or stream restore has begun a"
        " new log since, or this log is an older copy or a forged one: compare the date of the"
        " digest with airbundle log show",
    )


def reset(
    path: Path,
    moment: datetime,
    stream: str,
    reason: str,
    operator: Mapping[str, str] | None = None,
) -> Records:
    """Forget the state of one stream; ``operator`` is the member of that name in the entry.

    Raises:
        NotFoundError: the site has not adopted it.
        LostRecordsError, LockedError, NoSpaceError, MediumError: as for ``append``.
    """
    former = get_stream(read(path), stream)
    members = {"stream": stream, "serial": former.serial, "reason": reason}
    named = {} if operator is None else {"operator": dict(operator)}
    return append(path, states.RESET, moment, members | named)


def read_directory(directory: Directory) -> Records:
    """Read both witnesses in a locked directory, and compare them.

    Raises:
        LostRecordsError: as for ``read``.
    """
    log_path, state_path = str(directory.path / logs.NAME), str(directory.path / state_file.NAME)
    try:
        log = logs.read(directory)
    except (IntegrityError, LimitError) as error:
        raise _create_error(
            log_path, f"damaged: {error.message_without(f'{log_path}: ')}"
        ) from None
    try:
        state = state_file.read(directory)
    except (IntegrityError, LimitError) as error:
        problem = f"damaged: {error.message_without(f'{state_path}: ')}"
        raise _create_error(state_path, problem) from None
    if state is None:
        if log is not None:
            raise _create_error(state_path, "missing, although the site has a log of imports")
        names = directory.list_names()
        if witness := next((name for name in _WITNESSES if name in names), None):
            raise _create_error(state_path, f"missing, although the site has {witness}/")
        return Records(directory.path)
    known = log or logs.Log()
    lines, head, recorded, recorded_trust = state
    if lines > len(known.entries):
        got = "no log" if log is None else f"{len(known.entries)}"
        raise _create_error(log_path, f"shorter than it was (expected {lines} entries, got {got})")
    if (known.entries[lines - 1].digest if lines else None) != head:
        raise _create_error(log_path, f"entry {lines} is not the one that {state_file.NAME} names")
    try:
        streams = states.replay(known.entries[:lines])
        trust_file = trust_file_state.replay(known.entries[:lines])
        if streams != recorded or recorded_trust not in (None, trust_file):
            raise _create_error(state_path, "not the state that the log amounts to")
        streams = states.replay(known.entries[lines:], streams)
        trust_file = trust_file_state.replay(known.entries[lines:], trust_file)
    except (IntegrityError, LimitError) as error:
        raise _create_error(
            log_path, f"damaged: {error.message_without(f'{log_path}: ')}"
        ) from None
    try:
        interrupted = pending.read(directory, known)
        return Records(directory.path, known, streams, interrupted, trust_file)
    except (IntegrityError, LimitError) as error:
        path = str(directory.path / pending.NAME)
        raise _create_error(path, f"damaged: {error.message_without(f'{path}: ')}") from None


def _create_error(path: str, problem: str) -> LostRecordsError:
    return LostRecordsError(
        path,
        problem,
        hint="put the file back from a backup; if there is none, compare the serials with the last"
        f" receipts, and run {_RESTORE}",
    )


@contextmanager
def open_for_writing(path: Path) -> Iterator[Directory]:
    """Create the directory if it is missing, and lock it."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(_DIRECTORY_MODE, exist_ok=True)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot create this directory") from error
    for each in missing:
        atomic_write.sync_directory(each.parent)
    with Directory.open(path) as directory, hold(directory, timeout=_LOCK_TIMEOUT):
        yield directory


class _LockFile:
    """A file that is locked and never read."""

    def __init__(self, directory: Directory, name: str) -> None:
        self.path = directory.path / name
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self.fd = permissions.open_file(directory, name, flags)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot lock") from error
