"""Target files: a YAML file that describes the target of an import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bundler.bundle.importing.target import DirectoryTarget, parse_target
from bundler.bundle.manifest.registry_overrides import read_override
from bundler.bundle.manifest.schema_validation import validate
from bundler.config.registry_access import RegistryOverride
from bundler.config.yaml import document
from bundler.config.yaml.context import YamlContext
from bundler.config.yaml.document import (
    MappingNode,
    ScalarNode,
    YamlMistakes,
    get_member,
    is_true,
)
from bundler.errors import InvalidReferenceError
from bundler.transports.source_reference import split_registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.importing.comparing.compare_images import Existing
    from bundler.bundle.importing.target import ImportTarget


@dataclass(frozen=True, slots=True)
class TargetFile:
    """The target of an import, how to access it, and the target names."""

    target: ImportTarget
    override: RegistryOverride
    names: tuple[tuple[str, str], ...]
    """Pairs of FROM and TO, in the order of the file."""
    keep_host: bool
    existing: Existing


def load(path: Path, *, environment: Mapping[str, str]) -> TargetFile:
    """Read a target file.

    Raises:
        InvalidBundleManifestError: contains every mistake as ``path:line:column: text``.
        LimitError: the file is too large, is nested too deeply, or has too many values.
        NotFoundError: the file does not exist.
    """
    mistakes = YamlMistakes()
    text = document.decode(document.read_bytes(path), str(path))
    value = document.parse(text, str(path), mistakes)
    validate(value, "import-target", mistakes)
    context = YamlContext(path.name, path.parent, environment, mistakes)
    location, target = get_member(value, "target"), None
    if isinstance(location, ScalarNode):
        try:
            target = parse_target(str(location), context.folder)
        except InvalidReferenceError as error:
            if split_registry(location) is not None:  # else the schema validation has reported it
                mistakes.add(location.at, error.message)
    override = read_override(value, context)
    if override != RegistryOverride() and isinstance(target, DirectoryTarget):
        mistakes.add(
            value.at, f"{target} is not a registry; credentials, tls and limits do not apply"
        )
    mistakes.raise_if_any()
    assert target is not None  # noqa: S101 - otherwise there is a mistake
    names = get_member(value, "names")
    return TargetFile(
        target=target,
        override=override,
        names=tuple((source, str(name)) for source, name in names.items())
        if isinstance(names, MappingNode)
        else (),
        keep_host=is_true(get_member(value, "keepHost")),
        existing=cast("Existing", str(get_member(value, "existing") or "error")),
    )
