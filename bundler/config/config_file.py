"""Read and parse configuration files, with a size limit and without blocking."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, overload

from bundler.errors import BundlerError, ConfigError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.config.yaml.document import Value

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
        raise _create_read_error(path, error) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
            return b""
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: not a regular file", path=str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise _create_read_error(path, error) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_SIZE:
        raise ConfigError(
            f"{path}: too large (expected at most {MAX_SIZE:,} bytes)", path=str(path)
        )
    return data


def list_directory(directory: Path) -> list[Path] | None:
    """List the entries of a directory by name; None if it does not exist.

    Raises:
        ConfigError: the directory cannot be read.
    """
    try:
        return sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _create_read_error(directory, error) from None


def parse_json(raw: bytes, path: Path, *, hint: str | None = None) -> Table:
    """Parse a JSON object; ``path`` is the subject of error messages.

    Raises:
        ConfigError: the document is not a JSON object; the message names the line.
    """
    create_error = partial(ConfigError, path=str(path))
    try:
        table = Table.parse(raw, str(path), limit=MAX_SIZE)
    except BundlerError as error:
        raise create_error(error.message, hint=hint) from None
    return replace(table, error=create_error)


def parse_toml(raw: bytes, path: Path) -> Table:
    """Parse a TOML document; ``path`` is the subject of error messages.

    Raises:
        ConfigError: the document is not valid UTF-8 or TOML; the message names the line.
    """
    import tomllib  # noqa: PLC0415 - few users have such files

    create_error = partial(ConfigError, path=str(path))
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise create_error(f"{path}: invalid UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise create_error(f"{path}: invalid TOML: {error}") from None
    except RecursionError:
        raise create_error(f"{path}: nested too deeply") from None
    return Table(document, str(path), create_error, "table")


def parse_yaml(raw: bytes, path: str) -> Table:
    """Parse a YAML mapping; all scalars except null remain text. An empty document is {}.

    Raises:
        ConfigError: the document is not a YAML mapping, or has a duplicate key.
    """
    from bundler.config.yaml import document  # noqa: PLC0415 - few users have such files

    def to_plain(value: Value) -> object:
        if isinstance(value, document.ScalarNode):
            return None if value.is_null else str(value)
        if isinstance(value, document.MappingNode):
            return {key: to_plain(member) for key, member in value.items()}
        return [to_plain(item) for item in value]

    create_error = partial(ConfigError, path=path)
    mistakes = document.YamlMistakes()
    try:
        text = document.decode(raw, path)
        lines = (line.strip() for line in text.splitlines())
        value: object = None
        if any(line and not line.startswith("#") for line in lines):
            value = to_plain(document.parse(text, path, mistakes))
        mistakes.raise_if_any()
    except BundlerError as error:
        raise create_error(error.message) from None
    return Table.of({} if value is None else value, path, error=create_error, noun="mapping")


def _create_read_error(path: Path, error: OSError | ValueError) -> ConfigError:
    os_error = error if isinstance(error, OSError) else None
    if os_error is None or os_error.errno is None:
        reason = "not a valid path"
    elif os_error.errno == errno.ELOOP:
        reason = "symbolic links form a loop"
    else:
        reason = os.strerror(os_error.errno)
    return ConfigError(f"{path}: cannot be read: {reason}", path=str(path), os_error=os_error)
