"""Write files atomically and durably.

The content is written to a temporary file in the same directory, its length is checked, and the
file is synchronised and renamed; then the directory is synchronised. After an interruption, the
previous file is unchanged. An unfinished file may remain, see ``part_files``.

A file is discarded if its fsync fails: the kernel may have dropped dirty pages, and a second fsync
would not report the loss.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.part_files import PartFile
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import read_chunks
from bundler.errors import MediumError, NoSpaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor

_NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS})


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
        _publish_part(folder, file, final, stored.size)
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
    with PartFile.create(directory, mode) as part:
        part.write(memoryview(data))
        _publish_part(directory, part, name, len(data))
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


def _publish_part(directory: Directory, part: PartFile, name: str, size: int) -> None:
    publish(directory, part.fd, part.name, name, size=size, path=directory.path / name)
    part.published = True


@contextlib.contextmanager
def _open_directory(directory: Directory | Path) -> Iterator[Directory]:
    if isinstance(directory, Directory):
        yield directory
    else:
        with Directory.open(directory) as opened:
            yield opened
