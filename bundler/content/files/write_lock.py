"""The lock of a writer, also where flock(2) does not exclude all other writers.

On a network file system and on FUSE, flock(2) of a directory excludes processes of the same host
only; on some file systems it fails. There, a writer also creates a record of itself beside the
content, a file that only one process can create, and removes it at the end. A record whose process
has certainly ended is taken over. That of another host is not: only the user knows.

https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bundler.content.files import file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import BundlerError, IntegrityError, LimitError, LockedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.files.file_lock import Lockable
    from bundler.content.files.lock_holder import LockHolder
    from bundler.content.files.safe_directory import Directory

RECORD = ".airbundle-lock.part"
"""The name of the record of a locked directory; such a name never counts as content."""

_FDINFO = Path("/proc/self/fdinfo")
_MOUNTINFO = Path("/proc/self/mountinfo")
_NOT_LOCAL = re.compile(
    r"nfs4?|cifs|smb\w*|9p|afs|beegfs|ceph|coda|gfs2|glusterfs|gpfs|lustre|ocfs2|orangefs|prl_fs"
    r"|pvfs2|vboxsf|virtiofs|vmhgfs|fuse(\..+)?"
)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITING_TIME = 2.0  # seconds in which a live process writes the record that it has created
_UNREADABLE = b"-"


class WriteLock:
    """A lock that this process holds until ``release``; by default, one without a record."""

    def __init__(
        self, folder: Directory | None = None, record: str = "", content: bytes = b""
    ) -> None:
        self._folder = folder
        self._record = record
        self._content = content

    @classmethod
    def acquire(
        cls,
        target: Lockable,
        folder: Directory,
        record: str = RECORD,
        *,
        shared: bool = False,
        timeout: float = 0.0,
    ) -> Self:
        """Lock ``target``.

        The caller releases the lock, and closes ``target`` and ``folder`` afterwards.

        Args:
            target: an open file or directory.
            folder: the directory of the record.
            record: the name of the record, the same for all writers of ``target``.
            shared: whether other processes may hold a shared lock at the same time. Where a record
                is needed, this lock excludes them too; in a read-only directory, it has none.
            timeout: seconds to wait until other processes release the lock.

        Raises:
            LockedError: another process or thread holds the lock; the message names it if known.
            NoSpaceError, MediumError: the lock fails, or the record cannot be written.
        """
        deadline = time.monotonic() + timeout
        while (state := file_lock.try_lock(target, shared=shared)) == "busy":
            if not _wait(deadline):
                raise LockedError(str(target.path), file_lock.find_holder(target.fd))
        if state == "locked" and not _NOT_LOCAL.fullmatch(find_file_system(target.fd)):
            return cls()
        if shared and not os.access(".", os.W_OK, dir_fd=folder.fd):
            return cls()
        excluded = state == "locked" and not shared
        while (own := _create_record(folder, record)) is None:
            raw = _read_record(folder, record)
            holder = _parse(raw)
            if raw is None:
                continue  # released in the meantime
            if not raw or (holder is not None and holder.has_ended(locked_here=excluded)):
                _remove_record(folder, record, raw)
            elif not _wait(deadline):
                raise _create_error(target.path, folder.path / record, holder)
        return cls(folder, record, own)

    def release(self) -> None:
        """Remove the record, if there is one; the kernel unlocks the file when it is closed."""
        folder, self._folder = self._folder, None
        with suppress(BundlerError):  # disconnected; a later run takes it over
            if folder is not None and _read_record(folder, self._record) == self._content:
                folder.remove(self._record)


@contextmanager
def hold(directory: Directory, *, shared: bool = False, timeout: float = 0.0) -> Iterator[None]:
    """Lock a directory until the block ends.

    The arguments are those of ``WriteLock.acquire``.

    Raises:
        LockedError, NoSpaceError, MediumError: as for ``WriteLock.acquire``.
    """
    lock = WriteLock.acquire(directory, directory, shared=shared, timeout=timeout)
    try:
        yield
    finally:
        lock.release()


def find_file_system(fd: int) -> str:
    """Return the type of the file system of an open file, such as ``nfs4``; empty if unknown."""
    with suppress(OSError, ValueError, IndexError):
        lines = (_FDINFO / str(fd)).read_text().splitlines()
        mount = next(line.split()[1] for line in lines if line.startswith("mnt_id:"))
        for line in _MOUNTINFO.read_text("utf-8", "surrogateescape").splitlines():
            # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue
            if line.partition(" ")[0] == mount:
                return line.partition(" - ")[2].split()[0]
    return ""


def _wait(deadline: float) -> bool:
    """Wait until the next attempt; return False if there is none before ``deadline``."""
    if time.monotonic() >= deadline:
        return False
    time.sleep(file_lock.CHECK_INTERVAL)
    return True


def _create_record(folder: Directory, name: str) -> bytes | None:
    """Create the record of this process, and return it; None if there is one already."""
    from bundler.content.files.lock_holder import LockHolder  # noqa: PLC0415 - not on local disks

    try:
        fd = os.open(name, _FLAGS, 0o644, dir_fd=folder.fd)
    except FileExistsError:
        return None
    except OSError as error:
        raise to_bundler_error(error, folder.path / name, "cannot lock") from error
    raw = LockHolder.of_process(os.getpid()).encode()
    try:
        os.write(fd, raw)
    except OSError as error:
        folder.remove(name)
        raise to_bundler_error(error, folder.path / name, "cannot lock") from error
    finally:
        os.close(fd)
    return raw


def _read_record(folder: Directory, name: str) -> bytes | None:
    """Read a record, which its process may not have written yet; None if there is none."""
    from bundler.content.files.lock_holder import MAX_RECORD  # noqa: PLC0415

    deadline = time.monotonic() + _WRITING_TIME
    while True:
        try:
            raw = folder.read(name, limit=MAX_RECORD)
        except NotFoundError:
            return None
        except (IntegrityError, LimitError):  # a link, or not a record
            return _UNREADABLE
        if raw or time.monotonic() >= deadline:
            return raw
        time.sleep(file_lock.CHECK_INTERVAL)


def _parse(raw: bytes | None) -> LockHolder | None:
    from bundler.content.files.lock_holder import LockHolder  # noqa: PLC0415

    with suppress(IntegrityError, LimitError):
        return LockHolder.parse(raw or b"", "lock")
    return None


def _remove_record(folder: Directory, name: str, raw: bytes) -> None:
    """Remove the record ``raw``, unless another process has done so and written its own."""
    from bundler.content.files.atomic_write import create_part_name  # noqa: PLC0415 - imports us

    aside = create_part_name()
    with suppress(NotFoundError):
        folder.rename(name, aside)
        if _read_record(folder, aside) == raw:
            folder.remove(aside)
        else:
            folder.rename(aside, name)


def _create_error(path: Path, record: Path, holder: LockHolder | None) -> LockedError:
    if holder is not None and not holder.is_remote:
        return LockedError(str(path), str(holder))
    return LockedError(
        str(path),
        str(holder or ""),
        hint="run the command again when that process has ended; if it was interrupted, remove"
        f" {record}",
    )
