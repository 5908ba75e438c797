"""The target of an import and its target names, from a command line or from a target file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.importing.target import NO_TARGET, parse_target
from bundler.copy.target_names import NameMapping, parse_rules

if TYPE_CHECKING:
    from bundler.bundle.importing.comparing.compare_images import Existing
    from bundler.bundle.importing.target import ImportTarget
    from bundler.cli.options.import_names import ImportNameOptions
    from bundler.cli.runtime.environment import Environment
    from bundler.config.registry_access import RegistryOverride


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """A target, the names of images there, and the settings of the target file, if it is one."""

    target: ImportTarget
    names: NameMapping
    override: RegistryOverride | None = None
    """The settings for access to the registry; None if unset."""
    existing: Existing | None = None
    """The action for names that point to other digests; None if unset."""


def read_target(
    text: str | None, names: ImportNameOptions | None, environment: Environment
) -> TargetSettings:
    """Read the target of an import; None: it is unknown, and the import can only be rehearsed.

    ``names`` override the settings of a target file; None: no options for them are given.

    Raises:
        InvalidReferenceError: ``text`` is not a target.
        UsageError: a rename rule is malformed.
        InvalidBundleManifestError, NotFoundError: the target file is not valid, or does not exist.
    """
    target: ImportTarget = NO_TARGET
    rules, keep_host = (parse_rules(names.rename_rules), names.keep_host) if names else ((), False)
    override, existing = None, None
    if text is not None and text.endswith((".yaml", ".yml")):
        from bundler.bundle.manifest import target_file  # noqa: PLC0415 - loads yaml and jsonschema

        file = target_file.load(Path(text), environment=environment.variables)
        known = {source for source, _ in rules}
        rules = (*rules, *(rule for rule in file.names if rule[0] not in known))
        target, override, existing = file.target, file.override, file.existing
        keep_host = keep_host or file.keep_host
    elif text is not None:
        target = parse_target(text)
    mapping = NameMapping(rules, "host-path" if keep_host else "path")
    return TargetSettings(target, mapping, override, existing)
