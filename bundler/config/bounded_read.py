"""Reads of configuration files that neither block nor exceed a size limit."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Literal, overload

from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE = 4 * 1024 * 1024
_NULL_DEVICE = os.makedev(1, 3)  # /dev/null, which users specify for "no file"


@overload
def read(path: Path, *, required: Literal[True]) -> bytes: ...


@overload
def read(path: Path, *, required: bool = False) -> bytes | None: ...


def read(path: Path, *, required: bool = False) -> bytes | None:
    """Return the content of a file; None if the file does not exist and is not ``required``.

    Symbolic links are followed, because secrets are often mounted as links.

    Raises:
        ConfigError: the file is unreadable, larger than ``MAX_SIZE`` or not a regular file, or is
            required and does not exist.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO that has no writer would never return.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not required:
            return None
        raise ConfigError(f"{path}: no such file", path=str(path), os_error=error) from None
    except (OSError, ValueError) as error:
        raise _to_config_error(path, error) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
            return b""
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: not a regular file", path=str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _to_config_error(path, error) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_SIZE:
        raise ConfigError(f"{path}: larger than the {MAX_SIZE:,} bytes allowed", path=str(path))
    return data


def _to_config_error(path: Path, error: OSError | ValueError) -> ConfigError:
    os_error = error if isinstance(error, OSError) else None
    if os_error is None or os_error.errno is None:
        reason = "not a valid path"
    elif os_error.errno == errno.ELOOP:
        reason = "it is a link to itself"
    else:
        reason = os.strerror(os_error.errno)
    return ConfigError(f"{path}: cannot be read: {reason}", path=str(path), os_error=os_error)
