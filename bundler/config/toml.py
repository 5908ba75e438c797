"""Configuration files in TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import ConfigError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from pathlib import Path


def parse(raw: bytes, path: Path) -> Table:
    """Parse a TOML document; ``path`` is the subject of error messages.

    Raises:
        ConfigError: the document is not TOML in UTF-8; the message names the line.
    """
    import tomllib  # noqa: PLC0415 - few users have such files

    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    return Table(document, str(path), ConfigError, "table")
