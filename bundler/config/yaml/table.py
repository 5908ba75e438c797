"""Reader of YAML configuration files as tables, without positions of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config import bounded_read
from bundler.config.yaml import document
from bundler.config.yaml.document import Findings, MappingNode, ScalarNode, Value
from bundler.errors import ConfigError, InvalidBundleManifestError, LimitError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> Table:
    """Read a mapping, which is empty if the file is.

    Raises:
        ConfigError: the file cannot be read, is not a mapping in YAML, or has a duplicate key.
    """
    return parse(bounded_read.read(path, required=True), str(path))


def parse(raw: bytes, file: str) -> Table:
    """Parse a mapping, as ``read`` does; ``file`` is the subject of error messages."""
    findings = Findings()
    try:
        text = document.decode(raw, file)
        if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
            value: object = None
        else:
            value = _to_plain(document.parse(text, file, findings))
        findings.raise_if_any()
    except (InvalidBundleManifestError, LimitError) as error:
        raise ConfigError(error.message) from None
    return Table.of({} if value is None else value, file, error=ConfigError, noun="mapping")


def _to_plain(value: Value) -> object:
    """Return ``value`` with null as None and all other scalars as text."""
    if isinstance(value, ScalarNode):
        return None if value.is_null else str(value)
    if isinstance(value, MappingNode):
        return {key: _to_plain(member) for key, member in value.items()}
    return [_to_plain(item) for item in value]
