"""Which versions, ciphers and groups TLS may use: the file that ``--tls-details`` names.

containers-tls-details.yaml(5)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config import bounded_read
from bundler.config.registry_access import TlsDetails
from bundler.config.yaml import fields
from bundler.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = ("minVersion", "cipherSuites", "namedGroups")
_VERSIONS = ("1.2", "1.3")


def read(path: Path) -> TlsDetails:
    """What ``path`` says.

    Raises:
        ConfigError: it is not there, cannot be read, or is not in order.
    """
    found = fields.parse(bounded_read.read(path, required=True), str(path))
    fields.fields(found, str(path), _KEYS)
    version = found.get("minVersion")
    lists = {key: fields.texts(found[key], f"{path}: {key}") for key in _KEYS[1:] if key in found}
    return TlsDetails(
        str(path),
        None if version is None else _version(fields.text(version, f"{path}: minVersion"), path),
        lists.get("cipherSuites"),
        lists.get("namedGroups"),
    )


def _version(text: str, path: Path) -> str:
    if text not in _VERSIONS:
        raise ConfigError(f"{path}: minVersion: expected {' or '.join(_VERSIONS)}, got {text!r}")
    return text
