"""Write cached data to the medium while more is produced.

Otherwise the kernel caches gigabytes, a progress display measures the memory instead of the medium,
and the final fsync takes minutes. At most two windows per file are cached.

https://man7.org/linux/man-pages/man2/sync_file_range.2.html
"""

from __future__ import annotations

import errno
import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 2 * 1024 * 1024
"""The bytes after which those of the former window must have been written to the medium."""

_WAIT_BEFORE, _WRITE = 1, 2
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ESPIPE})


class WriteBehind:
    """The cached data of an open file. Approximate if several threads write to it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._cached = 0

    def add(self, size: int) -> None:
        """Count ``size`` written bytes; after a window, wait for the former one.

        Raises:
            OSError: the medium failed to store data, which a later fsync does not report again.
        """
        self._cached += size
        if self._cached >= WINDOW:
            self._cached = 0
            _find_function()(self._fd)


@functools.cache
def _find_function() -> Callable[[int], None]:
    """Return a function that waits for the data under way of a file, and starts with the rest."""
    try:
        import ctypes  # noqa: PLC0415 - only for large files

        sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (ImportError, OSError, AttributeError):  # another C library
        return lambda _: None
    offset = ctypes.c_int64(0)  # from 0 to the end

    def write_out(fd: int) -> None:
        if sync_file_range(fd, offset, offset, ctypes.c_uint(_WAIT_BEFORE | _WRITE)) < 0:
            number = ctypes.get_errno()
            if number not in _UNSUPPORTED:
                raise OSError(number, os.strerror(number))

    return write_out
