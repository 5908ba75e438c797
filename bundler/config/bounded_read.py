"""Reads a configuration file without trusting that it is one: bounded, and never waiting."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Literal, overload

from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MAX_SIZE = 4 * 1024 * 1024
_NULL_DEVICE = os.makedev(1, 3)  # what people name to say "no file"; read as empty


@overload
def read(path: Path, *, required: Literal[True]) -> bytes: ...


@overload
def read(path: Path, *, required: bool = False) -> bytes | None: ...


def read(path: Path, *, required: bool = False) -> bytes | None:
    """The file's bytes; None if it does not exist and is not ``required``.

    Symbolic links are followed: secrets are often mounted as links.

    Raises:
        ConfigError: it cannot be read, is larger than ``MAX_SIZE``, is no regular file, or is
            required and does not exist.
    """
    try:
        # A FIFO without a writer would keep an ordinary open waiting for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not required:
            return None
        raise ConfigError(
            f"{path}: there is no such file", path=str(path), os_error=error
        ) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
            return b""
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: not a regular file", path=str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_SIZE:
        raise ConfigError(f"{path}: larger than the {MAX_SIZE:,} bytes allowed", path=str(path))
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be read: {_reason(error)}",
        path=str(path),
        os_error=error if isinstance(error, OSError) else None,
    )


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return "it is a link to itself" if error.errno == errno.ELOOP else os.strerror(error.errno)
    return "its name is not a path"
