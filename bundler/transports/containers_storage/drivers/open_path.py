"""A position in a deep tree, with few open descriptors, and the names that remain to be visited.

A descriptor for each level would exceed the limit of open files (``RLIMIT_NOFILE``, often 1,024) in
a deep tree, and names in memory would be unbounded in a wide one.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_MAX_OPEN = 16
_MAX_IN_MEMORY = 1024 * 1024  # bytes
_LENGTH = struct.Struct("<H")

Identity = tuple[int, int]
"""The device and the number of a directory."""


class OpenPath:
    """The directories from a first one down to the current one, of which the last few are open.

    A directory that is not open any more is opened again as ``..`` of the one below it, and must
    then be the same directory.

    Args:
        fd: the first directory, which this object closes.
        above: the identities of directories above ``fd`` to which ``leave`` may return.
    """

    def __init__(self, fd: int, above: Sequence[Identity] = ()) -> None:
        self._open = [fd]
        self._identities = [*above, _identify(fd)]

    @property
    def fd(self) -> int:
        """The current directory."""
        return self._open[-1]

    @property
    def depth(self) -> int:
        """The number of directories above the current one."""
        return len(self._identities) - 1

    def enter(self, name: str) -> None:
        """Go to a directory in the current one; raise OSError if there is none, or it is a link."""
        fd = os.open(name, DIRECTORY, dir_fd=self.fd)
        self._open.append(fd)
        self._identities.append(_identify(fd))
        if len(self._open) > _MAX_OPEN:
            os.close(self._open.pop(0))

    def leave(self) -> None:
        """Go to the directory above the current one.

        Raises:
            OSError: it is another directory now.
        """
        if len(self._open) == 1:
            above = os.open("..", DIRECTORY, dir_fd=self.fd)
            self._open.insert(0, above)
            if _identify(above) != self._identities[-2]:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        os.close(self._open.pop())
        self._identities.pop()

    def release(self) -> tuple[int, tuple[Identity, ...]]:
        """Return the current directory, which the caller closes, and the identities above it."""
        fd = self._open.pop()
        self.close()
        return fd, tuple(self._identities[:-1])

    def close(self) -> None:
        """Close all directories."""
        while self._open:
            os.close(self._open.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PendingNames:
    """A stack of names, in memory or, if there are many, in an unnamed file.

    ``add_end`` marks the end of a directory, whose names are pushed after that.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY, dir="/var/tmp")  # noqa: SIM115 - unnamed; closed by close
        self._size = 0

    def add_end(self) -> None:
        """Push the mark that ``pop`` returns as None."""
        self._push(b"")

    def push(self, name: str) -> None:
        """Push a name."""
        self._push(os.fsencode(name))

    def push_entries(self, fd: int) -> None:
        """Push the end of an open directory, and the names of everything in it."""
        self.add_end()
        with os.scandir(fd) as entries:
            for entry in entries:
                self.push(entry.name)

    def pop(self) -> str | None:
        """Return the last name and remove it; None: the end of a directory."""
        self._size -= _LENGTH.size
        self._file.seek(self._size)
        (length,) = _LENGTH.unpack(self._file.read(_LENGTH.size))
        if not length:
            return None
        self._size -= length
        self._file.seek(self._size)
        return os.fsdecode(self._file.read(length))

    def _push(self, data: bytes) -> None:
        self._file.seek(self._size)
        self._file.write(data + _LENGTH.pack(len(data)))
        self._size += len(data) + _LENGTH.size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _identify(fd: int) -> Identity:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
