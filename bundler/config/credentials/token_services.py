"""The token services in other domains that the user trusts, by registry.

``login --token-service`` stores them in a file of their own, because other programs that write an
authfile remove members that they do not know.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.config import config_file
from bundler.content.files.atomic_write import write_bytes
from bundler.errors import ConfigError, MalformedError, MediumError
from bundler.oci.json import strict

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> dict[str, str]:
    """Return the URL of the token service by the registry's ``host[:port]``.

    Raises:
        ConfigError: the file cannot be read or is invalid.
    """
    raw = config_file.read(path)
    if raw is None:
        return {}
    try:
        value = strict.load_object(raw, subject=str(path))
    except MalformedError as error:
        raise ConfigError(error.message, path=str(path)) from None
    if not all(isinstance(url, str) for url in value.values()):
        raise ConfigError(f"{path}: expected a URL for each registry", path=str(path))
    return value


def store(path: Path, host: str, url: str) -> None:
    """Store the URL of the token service of a registry.

    Raises:
        ConfigError: the file is invalid or cannot be written.
    """
    known = read(path)
    if known.get(host) != url:
        _write(path, {**known, host: url})


def remove(path: Path, host: str | None = None) -> bool:
    """Remove the token service of a registry, or of all; return whether there was one.

    Raises:
        ConfigError: the file is invalid or cannot be written.
    """
    known = read(path)
    kept = {name: url for name, url in known.items() if host not in (None, name)}
    if kept == known:
        return False
    _write(path, kept)
    return True


def _write(path: Path, services: dict[str, str]) -> None:
    data = json.dumps(services, indent=2, sort_keys=True).encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_bytes(path, data + b"\n", mode=0o600)
    except (OSError, MediumError) as error:
        raise ConfigError(
            f"{path}: the token service cannot be stored: {error}", path=str(path)
        ) from None
