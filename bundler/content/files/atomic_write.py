"""Write files atomically and durably.

The content is written to a temporary file in the same directory, its length is checked, and the
file is synchronised and renamed; then the directory is synchronised. After an interruption, the
previous file is unchanged. A file ``.airbundle-….part`` may remain; the next process that locks the
directory removes it.

A file is discarded if its fsync fails: the kernel may have dropped dirty pages, and a second fsync
would not report the loss.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import read_chunks
from bundler.errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor

_PREFIX = ".airbundle-"
_SUFFIX = ".part"
_NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS})


def write_content(
    directory: Directory | Path,
    name: str | Callable[[Descriptor], str],
    content: Content,
    *,
    durable_name: bool = True,
) -> Descriptor:
    """Write ``content`` to a file in ``directory``, and return its descriptor.

    Args:
        directory: an existing directory.
        name: the file's name, or a function that returns it once the content is known.
        content: read to the end; if it raises an error, no file remains.
        durable_name: whether to synchronise the directory too; False if the caller calls
            ``sync_directory`` once, after many files.

    Raises:
        NoSpaceError, MediumError: the file cannot be written; a previous one is unchanged.
    """
    with _open_directory(directory) as folder, _Part(folder, 0o644) as part:
        for chunk in read_chunks(content, content.size):
            part.write(chunk)
        stored = content.descriptor()
        final = name if isinstance(name, str) else name(stored)
        part.publish(final, stored.size)
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
    with _Part(directory, mode) as part:
        part.write(memoryview(data))
        part.publish(name, len(data))
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
    try:
        if os.fstat(fd).st_size != size:
            raise MediumError(
                f"{path}: written data is incomplete (the file system lost part of it)"
            )
        os.fsync(fd)
        os.rename(part, name, src_dir_fd=directory.fd, dst_dir_fd=directory.fd)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot write") from error


def create_part_name() -> str:
    """Create a random name for an unfinished file."""
    return f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def is_part(name: str) -> bool:
    """Return whether ``name`` is the name of an unfinished file."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def remove_parts(directory: Directory) -> None:
    """Remove unfinished files of earlier runs; only the holder of the lock may call this."""
    for name in directory.list_names():
        if is_part(name):
            directory.remove(name)


class _Part:
    """A file with a temporary name, which is removed on close unless it is published."""

    def __init__(self, directory: Directory, mode: int) -> None:
        self._directory = directory
        self._name = create_part_name()
        self._published = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._name, flags, 0o600, dir_fd=directory.fd)
        except OSError as error:
            raise to_bundler_error(error, directory.path, "cannot write here") from error
        with contextlib.suppress(OSError):  # some file systems have no modes
            os.fchmod(self._fd, mode)

    def write(self, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def publish(self, name: str, size: int) -> None:
        """Make the content durable, then rename the file to ``name``."""
        path = self._directory.path / name
        publish(self._directory, self._fd, self._name, name, size=size, path=path)
        self._published = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if not self._published:
            with contextlib.suppress(OSError):  # removed by the next run
                os.unlink(self._name, dir_fd=self._directory.fd)


@contextlib.contextmanager
def _open_directory(directory: Directory | Path) -> Iterator[Directory]:
    if isinstance(directory, Directory):
        yield directory
    else:
        with Directory.open(directory) as opened:
            yield opened
