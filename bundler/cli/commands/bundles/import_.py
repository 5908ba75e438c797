"""``airbundle import``: push the images of a bundle to a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.group import option
from bundler.cli.options.names import naming
from bundler.cli.options.registry_access import registry_access
from bundler.cli.output import reports
from bundler.cli.runtime import signing_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options.names import NamingOptions
    from bundler.cli.options.registry_access import AccessOptions


@command(
    "import", "airbundle import /media/stick/plant-7 docker://registry.plant:5000 --key plant.pub"
)
@click.argument("bundle", type=common.PATH)
@click.argument("target")
@option(
    "--key",
    "trusted",
    multiple=True,
    type=common.PATH,
    help="Trust the signatures of this public key. May be repeated.",
)
@option("--allow-unsigned", is_flag=True, help="Import a bundle that no given key has signed.")
@option("--allow-expired", is_flag=True, help="Import an expired bundle.")
@naming
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
    trusted: tuple[Path, ...],
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
    """Push the images of BUNDLE to TARGET, if it is whole and signed by a --key.

    TARGET is docker://HOST[:PORT][/PREFIX], oci:DIRECTORY, dir:DIRECTORY, or a YAML file with
    these and further settings.
    """
    public = signing_keys.read_public_keys(trusted)
    from bundler.bundle.importing import import_bundle  # noqa: PLC0415 - not for --help
    from bundler.cli.options import import_target  # noqa: PLC0415 - as above

    goal = import_target.goal(target, naming, access, context.environment)
    patterns = import_target.patterns(only)
    account = None if dry_run else import_target.receipts(receipt, context.environment)
    with context.run(jobs) as run:
        if verify_first:
            import_target.verify_first(bundle, public, run)
        request = import_bundle.ImportRequest(
            bundle=bundle,
            target=goal.target,
            options=run.open_options(goal.overrides),
            keys=public,
            allow_unsigned=allow_unsigned,
            allow_expired=allow_expired,
            names=goal.names,
            only=patterns,
            existing=goal.existing,
            dry_run=dry_run,
        )
        engine = run.engine_options(keep_going=keep_going, read_everything=True)
        report = import_bundle.import_bundle(request, engine)
    reports.imported(report, as_json=as_json, dry_run=dry_run)
    if account is not None:
        import_target.keep(report.to_json(), account, quiet=context.quiet)
    report.check()
