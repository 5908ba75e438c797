"""A place to import into, described by a YAML file instead of options on the command line."""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bundler.bundle.manifest.registry_overrides import read_override
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.registry_access import RegistryOverride
from bundler.config.yaml import document
from bundler.config.yaml.context import YamlContext
from bundler.config.yaml.document import (
    Findings,
    MappingNode,
    ScalarNode,
    Value,
    get_member,
    is_true,
)
from bundler.oci.reference import is_domain, is_repository_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.importing.import_bundle import Existing

_DOCKER = "docker://"


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
    findings = Findings()
    text = document.decode(document.read_bytes(path), str(path))
    value = document.parse(text, str(path), findings)
    validate(value, "import-target", findings)
    around = YamlContext(path.name, path.parent, environment, findings)
    target = _target(get_member(value, "target"), around)
    override = read_override(value, around)
    names = get_member(value, "names")
    if override != RegistryOverride() and target is not None and not target.startswith(_DOCKER):
        findings.add(value.at, f"{target} is no registry that credentials, tls or limits are for")
    findings.raise_if_any()
    return TargetFile(
        target=target or "",
        override=override,
        names=_names(names) if isinstance(names, MappingNode) else (),
        keep_host=is_true(get_member(value, "keepHost")),
        existing=cast("Existing", str(get_member(value, "existing") or "error")),
    )


def _target(value: Value | None, around: YamlContext) -> str | None:
    if not isinstance(value, ScalarNode):
        return None
    if value.startswith(_DOCKER):
        host, slash, prefix = value.removeprefix(_DOCKER).rstrip("/").partition("/")
        if not is_domain(host) or (slash and not is_repository_path(prefix)):
            shown = "one with credentials" if "@" in value else repr(str(value[:200]))
            around.findings.add(
                value.at, f"expected docker://host[:port][/prefix] in lower case, got {shown}"
            )
        return str(value)
    transport, _, folder = value.partition(":")
    return f"{transport}:{os.path.normpath(around.folder / folder)}"


def _names(names: MappingNode) -> tuple[tuple[str, str], ...]:
    return tuple((source, str(target)) for source, target in names.items())
