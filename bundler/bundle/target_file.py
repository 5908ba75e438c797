"""A place to import into, described by a YAML file instead of options on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.config.settings import RegistryOverride

Existing = Literal["error", "skip", "overwrite"]


@dataclass(frozen=True, slots=True)
class TargetFile:
    """Where to, how to get in, and what things are called there."""

    target: str
    """``docker://host[:port][/prefix]``, ``oci:DIR`` or ``dir:DIR``; local paths are resolved."""
    override: RegistryOverride
    names: tuple[tuple[str, str], ...]
    """FROM and TO, in the file's order."""
    keep_host: bool
    existing: Existing


def load(path: Path, *, environment: Mapping[str, str]) -> TargetFile:
    """Read an import target.

    Raises:
        InvalidBundleManifestError: with every mistake as ``path:line:column: text``.
        LimitError: the file is too large, too deep, or expands to too much.
        NotFoundError: there is no such file.
    """
    raise NotImplementedError
