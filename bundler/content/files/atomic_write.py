"""Write files atomically and durably.

The content is written to a temporary file in the same directory, its length is checked, and the
file is synchronised and renamed; then the directory is synchronised. After an interruption, the
previous file is unchanged. An unfinished file may remain, see ``part_files``. A process locks an
unfinished file while it writes it.

A file is discarded if its fsync fails: the kernel may have dropped dirty pages, and a second fsync
would not report the loss.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from typing import TYPE_CHECKING, Self

from bundler.content.files import file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.content.files.write_behind import WriteBehind
from bundler.content.streams import BUFFER_SIZE, read_chunks
from bundler.errors import (
    BundlerError,
    CancelledError,
    DisconnectedMediumError,
    MediumError,
    NoSpaceError,
    RegistryError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor

MIN_KEPT = BUFFER_SIZE
"""Minimum size in bytes of a kept part; a smaller one is transferred again quickly."""
CHECK_INTERVAL = 1.0
"""Number of seconds after which a writer checks again that its medium is connected."""
PART_PREFIX = ".airbundle-"
PART_SUFFIX = ".part"

_SYNC_INTERVAL = 10.0  # seconds of transfer that a power failure may lose
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Errors of the transfer, not of the content.
_INTERRUPTIONS = (CancelledError, DisconnectedMediumError, NoSpaceError, RegistryError)
_NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS})


class PartFile:
    """An unfinished file that is being written, until it is published under its final name.

    As a context manager, it closes the file, and removes it unless it is published. A file
    that was created by ``open_kept`` is kept if the block was interrupted. The caller closes
    ``directory`` afterwards.
    """

    def __init__(self, directory: Directory, name: str, fd: int, *, kept: bool = False) -> None:
        self.name = name
        self.fd = fd
        self.path = directory.path / name
        self._published = False
        self._directory = directory
        self._kept = kept
        self._synced = self._checked = time.monotonic()
        self._behind = WriteBehind(fd)

    @classmethod
    def create(cls, directory: Directory, mode: int) -> Self:
        """Create a file with a random name.

        Raises:
            NoSpaceError, MediumError: the file cannot be created.
        """
        name = create_part_name()
        try:
            fd = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory.fd)
        except OSError as error:
            directory.check_connected(error)
            raise to_bundler_error(error, directory.path, "cannot write here") from error
        part = cls(directory, name, fd)
        part.lock()
        part._set_mode(mode)
        return part

    @classmethod
    def open_kept(
        cls, directory: Directory, name: str, *, create: bool, shared: bool = False
    ) -> Self | None:
        """Open the file ``name``, which is kept if its transfer is interrupted.

        Returns None if the file cannot be used: it does not exist and ``create`` is False, another
        process is or, in a ``shared`` directory that the caller has not locked, may be writing it,
        or it is not a regular file with a single link.
        """
        flags = _FLAGS | (os.O_CREAT if create else 0)
        while True:
            try:
                fd = os.open(name, flags, 0o600, dir_fd=directory.fd)
            except OSError:
                return None
            part = cls(directory, name, fd, kept=True)
            status = os.fstat(fd)
            is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
            if not (is_plain and part.lock(required=shared)):
                part.close()
                return None
            if part.is_named():
                part._set_mode(0o644)
                return part
            part.close()  # published or removed by another process before the lock was acquired

    @property
    def size(self) -> int:
        """The number of stored bytes."""
        return os.fstat(self.fd).st_size

    def open_reader(self) -> RegularFile:
        """Open a reader of the stored bytes, which the caller closes before the next ``write``."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return RegularFile(self.path, os.dup(self.fd))

    def start_at(self, offset: int) -> None:
        """Truncate the file to ``offset`` bytes, and continue there."""
        try:
            os.ftruncate(self.fd, offset)
            os.lseek(self.fd, offset, os.SEEK_SET)
        except OSError as error:
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def write(self, data: memoryview) -> None:
        """Append ``data``.

        Raises:
            NoSpaceError, MediumError: the file cannot be written.
        """
        if time.monotonic() - self._checked > CHECK_INTERVAL:
            self._directory.check_connected()
            self._checked = time.monotonic()
        try:
            while data:
                count = os.write(self.fd, data)
                data = data[count:]
                self._behind.add(count)
            if self._kept and time.monotonic() - self._synced > _SYNC_INTERVAL:
                os.fdatasync(self.fd)
                with contextlib.suppress(OSError):  # some file systems cannot sync directories
                    os.fsync(self._directory.fd)
                self._synced = time.monotonic()
        except OSError as error:
            self._directory.check_connected(error)
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def write_at(self, data: memoryview, offset: int) -> None:
        """Write ``data`` at ``offset``, wherever ``write`` continues.

        Raises:
            NoSpaceError, MediumError: the file cannot be written.
        """
        try:
            while data:
                count = os.pwrite(self.fd, data, offset)
                data, offset = data[count:], offset + count
                self._behind.add(count)
        except OSError as error:
            self._directory.check_connected(error)
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def sync(self) -> None:
        """Make the written bytes durable.

        Raises:
            NoSpaceError, MediumError: the file cannot be written.
        """
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            self._directory.check_connected(error)
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def publish(self, name: str, size: int) -> None:
        """Make the file of ``size`` bytes durable, and rename it to ``name``.

        Raises:
            NoSpaceError, MediumError: it cannot be written; a previous file is unchanged.
        """
        directory = self._directory
        publish(directory, self.fd, self.name, name, size=size, path=directory.path / name)
        self._published = True

    def close(self) -> None:
        """Close and unlock the file without removing it."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        interrupted = isinstance(error, _INTERRUPTIONS) or not isinstance(error, BundlerError)
        stays = self._kept and error is not None and interrupted and self.size >= MIN_KEPT
        with contextlib.closing(self), contextlib.suppress(OSError):  # a later run removes it
            if not (self._published or stays):
                os.unlink(self.name, dir_fd=self._directory.fd)

    def lock(self, *, required: bool = False) -> bool:
        """Lock the file; return False if another process has locked it.

        On a file system without locks, the result is False only if a lock is ``required``.
        """
        try:
            state = file_lock.try_lock(self)
        except MediumError:
            return False
        return state == "locked" or (state == "unsupported" and not required)

    def _set_mode(self, mode: int) -> None:
        with contextlib.suppress(OSError):  # some file systems have no modes
            os.fchmod(self.fd, mode)

    def is_named(self) -> bool:
        """Whether the name still refers to the open file."""
        with contextlib.suppress(OSError):
            named = os.stat(self.name, dir_fd=self._directory.fd, follow_symlinks=False)
            return os.path.samestat(os.fstat(self.fd), named)
        return False


def create_part_name() -> str:
    """Create a random name for an unfinished file."""
    return f"{PART_PREFIX}{secrets.token_hex(8)}{PART_SUFFIX}"


def write_content(
    directory: Directory | Path,
    name: str | Callable[[Descriptor], str],
    content: Content,
    *,
    part: PartFile | None = None,
    durable_name: bool = True,
) -> Descriptor:
    """Write ``content`` to a file in ``directory``, and return its descriptor.

    Args:
        directory: an existing directory.
        name: the file's name, or a function that returns it once the content is known.
        content: read to the end; if it raises an error, no file remains. If it is not at its start,
            ``part`` contains the bytes before its position.
        part: the unfinished file to write, which this function closes; None: a new one.
        durable_name: whether to synchronise the directory too; False if the caller calls
            ``sync_directory`` once, after many files.

    Raises:
        NoSpaceError, MediumError: the file cannot be written; a previous one is unchanged.
    """
    with _open_directory(directory) as folder, part or PartFile.create(folder, 0o644) as file:
        if part is not None:
            part.start_at(content.position)
        for chunk in read_chunks(content, content.size):
            try:
                file.write(chunk)
            except NoSpaceError as error:
                if content.size is None or error.path is None:
                    raise
                needed = content.size - content.position + len(chunk)
                raise NoSpaceError(
                    error.path, needed=needed, free=error.free, os_error=error.os_error
                ) from error
        stored = content.descriptor()
        final = name if isinstance(name, str) else name(stored)
        file.publish(final, stored.size)
        if durable_name:
            sync_directory(folder)
    return stored


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file in an existing directory, replacing a previous one.

    Raises:
        NoSpaceError, MediumError: the file cannot be written; a previous one is unchanged.
    """
    with Directory.open(path.parent) as folder:
        write_bytes_in(folder, path.name, data, mode=mode)


def write_bytes_in(directory: Directory, name: str, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file in an open directory, like ``write_bytes``."""
    write_files(directory, {name: data}, mode=mode)


def write_files(directory: Directory, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
    """Write files by name in an open directory, one after the other, like ``write_bytes``.

    After a power failure, any of the previous files may remain, because the names become durable
    together.
    """
    for name, data in files.items():
        with PartFile.create(directory, mode) as part:
            part.write(memoryview(data))
            part.publish(name, len(data))
    if files:
        sync_directory(directory)


def sync_directory(directory: Directory | Path) -> None:
    """Make the names in ``directory`` durable, if its file system supports that.

    Raises:
        MediumError: the synchronisation failed.
    """
    with _open_directory(directory) as folder:
        try:
            os.fsync(folder.fd)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise to_bundler_error(
                    error, folder.path, "cannot synchronise its names"
                ) from error


def publish(directory: Directory, fd: int, part: str, name: str, *, size: int, path: Path) -> None:
    """Make the open file ``part`` of ``size`` bytes durable, and rename it to ``name``.

    ``path`` is used in messages.

    Raises:
        NoSpaceError, MediumError: the file cannot be written; a previous one is unchanged.
    """
    directory.check_connected()
    try:
        if os.fstat(fd).st_size != size:
            raise MediumError(
                f"{path}: written data is incomplete (the file system lost part of it)"
            )
        os.fsync(fd)
        os.rename(part, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
    except OSError as error:
        directory.check_connected(error)
        raise to_bundler_error(error, path, "cannot write") from error


@contextlib.contextmanager
def _open_directory(directory: Directory | Path) -> Iterator[Directory]:
    if isinstance(directory, Directory):
        yield directory
    else:
        with Directory.open(directory) as opened:
            yield opened
