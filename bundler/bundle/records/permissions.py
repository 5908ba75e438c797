"""The modes of files and directories of the records: those of the group follow the top directory.

If the group can write to the directory of the records, it can write to all of its files: several
users of one group import for one site. Otherwise only the owner can read them.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.content.files.atomic_write import sync_directory
from bundler.content.files.os_errors import to_bundler_error

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import Directory


def get_file_mode(directory: Directory) -> int:
    """Return the mode of new files in ``directory``."""
    return 0o660 if os.fstat(directory.fd).st_mode & stat.S_IWGRP else 0o600


def open_file(directory: Directory, name: str, flags: int) -> int:
    """Open a file of the records, and create it if it is missing; return its descriptor.

    Raises:
        OSError: it cannot be opened.
    """
    mode = get_file_mode(directory)
    fd = os.open(name, flags | os.O_CREAT, mode, dir_fd=directory.fd)
    if os.fstat(fd).st_uid == os.geteuid():
        with suppress(OSError):  # some file systems have no modes
            os.fchmod(fd, mode)  # the umask does not apply
    return fd


def create_directory(parent: Directory, name: str) -> None:
    """Create a subdirectory of the records, unless it exists.

    Raises:
        NoSpaceError, MediumError: it cannot be created.
    """
    mode = 0o770 if get_file_mode(parent) == 0o660 else 0o700
    try:
        os.mkdir(name, mode, dir_fd=parent.fd)
        kept = os.stat(name, dir_fd=parent.fd).st_mode & stat.S_ISGID  # new files keep the group
        with suppress(OSError):
            os.chmod(name, mode | kept, dir_fd=parent.fd)
    except FileExistsError:
        return
    except OSError as error:
        raise to_bundler_error(error, parent.path / name, "cannot create this directory") from error
    sync_directory(parent)
