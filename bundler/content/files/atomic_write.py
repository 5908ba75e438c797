"""Write a file whole, or not at all, and durably.

A temporary name in the final directory, the bytes, a look at the length, fsync, rename, fsync of
the directory. Stopped at any point there is the former file or none, and perhaps one called
``.airbundle-….part``, which whoever holds the directory's lock sweeps away.

A file whose fsync failed is thrown away: the kernel may have dropped its pages, and a second fsync
would not say so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.streams.reader import read_chunks, write_all
from bundler.errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bundler.content.streams.reader import Content
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
    """Store all of ``content`` as a file in ``directory``; what was stored.

    Args:
        directory: where the file goes; it must exist.
        name: the file's name, or what makes it once the content is known.
        content: read to its end; an error that it raises leaves nothing behind.
        durable_name: whether the directory is synchronised too. Who writes many files may do that
            once, after the last, with ``sync_directory``.

    Raises:
        NoSpaceError, MediumError: the former file of that name, if any, is untouched.
    """
    with _opened(directory) as folder, _Part(folder, 0o644) as part:
        for chunk in read_chunks(content, content.size):
            part.write(chunk)
        stored = content.descriptor()
        final = name if isinstance(name, str) else name(stored)
        part.publish(final, stored.size)
        if durable_name:
            sync_directory(folder)
    return stored


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Store ``data`` at ``path``, whose directory must exist, replacing what is there.

    Raises:
        NoSpaceError, MediumError: the former file, if any, is untouched.
    """
    with Directory.open(path.parent) as folder:
        write_bytes_in(folder, path.name, data, mode=mode)


def write_bytes_in(directory: Directory, name: str, data: bytes, *, mode: int = 0o644) -> None:
    """As ``write_bytes``, in a directory that is open already."""
    with _Part(directory, mode) as part:
        part.write(memoryview(data))
        part.publish(name, len(data))
        sync_directory(directory)


def sync_directory(directory: Directory | Path) -> None:
    """Make the names in ``directory`` durable, where its file system can do that.

    Raises:
        MediumError: it could, and failed.
    """
    with _opened(directory) as folder:
        try:
            os.fsync(folder.fd)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise to_bundler_error(
                    error, folder.path, "cannot make its names durable"
                ) from error


def create_part_name() -> str:
    """A fresh name for a file that is not finished."""
    return f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def is_part(name: str) -> bool:
    """Whether ``name`` is that of a file which was never finished."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def remove_parts(directory: Directory) -> None:
    """Remove what earlier runs left unfinished; only for the holder of the lock."""
    for name in directory.list_names():
        if is_part(name):
            directory.remove(name)


class _Part:
    """A file under a temporary name; gone at the end, unless it was published."""

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
            write_all(self._fd, data)
        except OSError as error:
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def publish(self, name: str, size: int) -> None:
        """Give the file its name once its ``size`` bytes are durable."""
        path = self._directory.path / name
        try:
            if os.fstat(self._fd).st_size != size:
                raise MediumError(f"{path}: the file system lost part of what was written")
            os.fsync(self._fd)
            folder = self._directory.fd
            os.rename(self._name, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise to_bundler_error(error, path, "cannot write") from error
        self._published = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        if not self._published:
            with contextlib.suppress(OSError):  # what is left is swept by the next run
                os.unlink(self._name, dir_fd=self._directory.fd)


@contextlib.contextmanager
def _opened(directory: Directory | Path) -> Iterator[Directory]:
    if isinstance(directory, Directory):
        yield directory
    else:
        with Directory.open(directory) as opened:
            yield opened
