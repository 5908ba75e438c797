"""What ``import`` is told of its target, and the receipt that it keeps."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bundler.bundle.importing.target import RegistryTarget, parse_target
from bundler.cli.output import text
from bundler.content.files import atomic_write
from bundler.copy.target_names import NameMapping, parse_rules
from bundler.errors import ConfigError, MediumError, TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.importing.import_bundle import Existing
    from bundler.bundle.importing.target import ImportTarget
    from bundler.cli.options.names import NamingOptions
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.runtime.context import CommandRun
    from bundler.cli.runtime.environment import Environment
    from bundler.config.registry_access import RegistryOverride
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """The target, from the command line and from its file, if there is one."""

    target: ImportTarget
    names: NameMapping
    existing: Existing
    overrides: Mapping[str, RegistryOverride]


def goal(
    target: str, naming: NamingOptions, access: AccessOptions, environment: Environment
) -> TargetOptions:
    """Read a target file, where ``target`` is one; the command line comes before it.

    Raises:
        UsageError: an option that makes no sense for this target.
        InvalidBundleManifestError: with every mistake in the file.
    """
    rules, keep_host = parse_rules(naming.moves), naming.keep_host
    existing = cast("Existing", naming.existing or "error")
    override = access.override()
    if target.endswith((".yaml", ".yml")):
        from bundler.bundle.manifest import target_file  # noqa: PLC0415 - loads yaml and jsonschema

        file = target_file.load(Path(target), environment=environment.variables)
        location = file.target
        known = {source for source, _ in rules}
        rules = (*rules, *(rule for rule in file.names if rule[0] not in known))
        keep_host = keep_host or file.keep_host
        existing = cast("Existing", naming.existing or file.existing)
        override = file.override if override is None else override.with_defaults(file.override)
    else:
        location = parse_target(target)
    names = NameMapping(rules, "host-path" if keep_host else "path")
    host = location.domain if isinstance(location, RegistryTarget) else None
    if host is None and access.given:
        raise UsageError(f"{target[:200]!r} is no registry that these options could be for")
    return TargetOptions(location, names, existing, {host: override} if host and override else {})


def patterns(texts: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Compile what ``--only`` was given.

    Raises:
        UsageError: not a regular expression.
    """
    try:
        return tuple(map(re.compile, texts))
    except re.error as error:
        raise UsageError(f"--only {error.pattern!r}: {error}") from None


def verify_first(bundle: Path, keys: tuple[PublicKey, ...], run: CommandRun) -> None:
    """Read all of the bundle before anything else.

    Raises:
        DamagedBundleError: something in it is damaged.
    """
    from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - only when asked for

    verification = verify(bundle, keys, cancellation=run.cancellation, emit=run.emit)
    try:
        verification.check()
    except TrustError:
        return  # the import itself decides about trust


def receipts(path: Path | None, environment: Environment) -> Path:
    """Where the receipt goes: the file ``path``, or the directory of the user's other receipts.

    Asked for before the first push: an import that cannot be accounted for should not begin.

    Raises:
        MediumError: nothing can be written there.
    """
    folder = path.parent if path else None
    try:
        if folder is None:
            folder = environment.state_directory / "airbundle" / "receipts"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ConfigError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message
        raise MediumError(
            f"{folder or 'receipts'}: the receipt cannot be written there: {why}",
            hint="name a file that can be written: --receipt FILE",
        ) from None
    return path or folder


def keep(receipt: dict[str, object], place: Path, *, quiet: bool) -> None:
    """Write the receipt to the file ``place``, or under a new name in that directory."""
    if place.is_dir():
        name = f"{receipt['stream']}-{receipt['serial']}-{receipt['ended']}.json"
        place = _unused(place / name.replace(":", ""))
    atomic_write.write_bytes(place, json.dumps(receipt, indent=2).encode() + b"\n")
    text.aside(f"receipt: {place}", quiet=quiet)


def _unused(path: Path) -> Path:
    """``path``, numbered where it is taken: two imports may end in the same second."""
    numbers = itertools.count(2)
    found = path
    while found.exists():
        found = path.with_stem(f"{path.stem}-{next(numbers)}")
    return found
