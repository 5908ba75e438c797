"""Configuration files in YAML, read with bounds and without leniency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.config import bounded_read
from bundler.config.yaml import document
from bundler.config.yaml.document import Findings, MappingNode, ScalarNode, SequenceNode, Value
from bundler.errors import ConfigError, InvalidBundleManifestError, LimitError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def read(path: Path) -> MappingNode | None:
    """The mapping in ``path``, empty if nothing is written there; None if there is no such file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds a key twice.
    """
    raw = bounded_read.read(path)
    return None if raw is None else parse(raw, str(path))


def parse(raw: bytes, file: str) -> MappingNode:
    """The mapping in ``raw``; ``file`` names it in messages.

    Raises:
        ConfigError: it is no mapping, is not YAML, or holds a key twice.
    """
    findings = Findings()
    try:
        content = document.decode(raw, file)
        if all(not line.strip() or line.lstrip().startswith("#") for line in content.splitlines()):
            return MappingNode()
        value = document.parse(content, file, findings)
        findings.raise_if_any()
    except (InvalidBundleManifestError, LimitError) as error:
        raise ConfigError(error.message) from None
    return MappingNode() if isinstance(value, ScalarNode) and value.is_null else fields(value, file)


def fields(value: Value, what: str, known: Collection[str] | None = None) -> MappingNode:
    """``value`` as a mapping whose keys are all ``known``.

    Raises:
        ConfigError: it is none, or has others.
    """
    if not isinstance(value, MappingNode):
        raise ConfigError(f"{what}: expected a mapping, got {document.describe(value)}")
    for key in value:
        if known is not None and key not in known:
            raise ConfigError(f"{value.key_at[key]}: unknown key {key[:80]!r}")
    return value


def text(value: Value, what: str) -> str:
    """``value`` as text.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, ScalarNode) or value.is_null:
        raise ConfigError(f"{what}: expected text, got {document.describe(value)}")
    return str(value)


def texts(value: Value, what: str) -> tuple[str, ...]:
    """``value`` as a list of texts.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, SequenceNode):
        raise ConfigError(f"{what}: expected a list, got {document.describe(value)}")
    return tuple(text(item, what) for item in value)
