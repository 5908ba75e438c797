"""``airbundle import``: push the images of a bundle to a target."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option, option_group, spec
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.output import receipts, reports
from bundler.cli.runtime import signing_keys
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.importing.import_bundle import Existing
    from bundler.bundle.importing.target import ImportTarget
    from bundler.config.registry_access import RegistryOverride
    from bundler.copy.target_names import NameMapping


@dataclass(frozen=True, slots=True)
class NamingOptions:
    """The options for target names; None if unset."""

    rename_rules: tuple[str, ...]
    keep_host: bool
    existing: str | None


_NAMING = {
    "rename_rules": common.RENAME_RULES,
    "keep_host": spec(
        "--keep-host", is_flag=True, help="Keep the source registry in target names."
    ),
    "existing": spec(
        "--existing",
        type=click.Choice(["error", "skip", "overwrite"]),
        help="Handling of target names that hold other content (default: error).",
    ),
}


@command(
    "import", "airbundle import /media/stick/plant-7 docker://registry.plant:5000 --key plant.pub"
)
@click.argument("bundle", type=common.PATH)
@click.argument("target")
@common.public_keys
@option("--allow-unsigned", is_flag=True, help="Import a bundle that no given key has signed.")
@option("--allow-expired", is_flag=True, help="Import an expired bundle.")
@option_group(NamingOptions, "naming", "Target names", _NAMING)
@option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Import only images whose reference matches this regular expression. May be repeated.",
)
@option("--verify-first", is_flag=True, help="Verify the whole bundle before the first push.")
@option("--keep-going", is_flag=True, help="Skip images that fail, and import the rest.")
@common.dry_run("Print references and target names; push nothing.")
@option(
    "--receipt",
    type=common.PATH,
    section=common.OUTPUT,
    help="Write the receipt to this file (default: a new file in the state directory).",
)
@registry_access("the target's registry")
@common.jobs()
@common.as_json
@pass_context
def import_(
    context: CommandContext,
    bundle: Path,
    target: str,
    *,
    key_files: tuple[Path, ...],
    allow_unsigned: bool,
    allow_expired: bool,
    only: tuple[str, ...],
    verify_first: bool,
    keep_going: bool,
    dry_run: bool,
    receipt: Path | None,
    jobs: int | None,
    as_json: bool,
    naming: NamingOptions,
    access: AccessOptions,
) -> None:
    """Push the images of BUNDLE to TARGET if the bundle is whole and signed by a given key.

    TARGET is docker://HOST[:PORT][/PREFIX], oci:DIRECTORY, dir:DIRECTORY, or a YAML file with
    one of these and further settings.
    """
    context.options.refuse_policy("import")
    public = signing_keys.read_public_keys(key_files)
    from bundler.bundle.importing import import_bundle  # noqa: PLC0415 - not for --help

    location, names, existing, overrides = _read_target(
        target, naming, access, context.environment.variables
    )
    try:
        patterns = tuple(map(re.compile, only))
    except re.error as error:
        raise UsageError(f"--only {error.pattern!r}: {error}") from None
    receipt_path = None if dry_run else receipts.choose_path(receipt, context.environment)
    with context.run(jobs) as run:
        if verify_first:
            from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - only with this option

            verification = verify(bundle, public, cancellation=run.cancellation, emit=run.emit)
            with suppress(TrustError):  # the import checks trust, with the --allow-… options
                verification.check()
        request = import_bundle.ImportRequest(
            bundle=bundle,
            target=location,
            options=run.create_open_options(overrides),
            keys=public,
            allow_unsigned=allow_unsigned,
            allow_expired=allow_expired,
            names=names,
            only=patterns,
            existing=existing,
            dry_run=dry_run,
        )
        engine = run.create_engine_options(keep_going=keep_going, read_everything=True)
        report = import_bundle.import_bundle(request, engine)
    reports.print_import_report(report, as_json=as_json, dry_run=dry_run)
    if receipt_path is not None:
        receipts.write_receipt(report.to_json(), receipt_path, quiet=context.quiet)
    report.check()


def _read_target(
    target: str, naming: NamingOptions, access: AccessOptions, variables: Mapping[str, str]
) -> tuple[ImportTarget, NameMapping, Existing, Mapping[str, RegistryOverride]]:
    """Combine the command line with the target file, if ``target`` is one.

    Returns:
        The target, the mapping of names, the handling of existing names, and the settings of the
        target's registry by its host. The command line overrides the file.

    Raises:
        UsageError: if an option does not apply to the target.
        InvalidBundleManifestError: if the file is invalid; lists every mistake.
    """
    from bundler.bundle.importing.target import RegistryTarget, parse_target  # noqa: PLC0415
    from bundler.copy.target_names import NameMapping, parse_rules  # noqa: PLC0415

    rules, keep_host = parse_rules(naming.rename_rules), naming.keep_host
    existing = naming.existing
    override = access.create_override()
    if target.endswith((".yaml", ".yml")):
        from bundler.bundle.manifest import target_file  # noqa: PLC0415 - loads yaml and jsonschema

        file = target_file.load(Path(target), environment=variables)
        location = file.target
        known = {source for source, _ in rules}
        rules = (*rules, *(rule for rule in file.names if rule[0] not in known))
        keep_host = keep_host or file.keep_host
        existing = existing or file.existing
        override = file.override if override is None else override.with_defaults(file.override)
    else:
        location = parse_target(target)
    host = location.domain if isinstance(location, RegistryTarget) else None
    if host is None and access.given:
        raise UsageError(
            f"{target[:200]!r}: registry options do not apply (expected docker://HOST)"
        )
    names = NameMapping(rules, "host-path" if keep_host else "path")
    overrides = {host: override} if host and override else {}
    return location, names, cast("Existing", existing or "error"), overrides
