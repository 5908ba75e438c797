"""``airbundle import``: what a bundle holds goes where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.output import reports
from bundler.cli.runtime import context, signing_keys

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options.common import AccessOptions, NamingOptions


@common.command(
    "import", "airbundle import /media/stick/plant-7 docker://registry.plant:5000 --key plant.pub"
)
@click.argument("bundle", type=common.PATH)
@click.argument("target")
@click.option("--key", "trusted", multiple=True, type=common.PATH, help="Trust this public key.")
@click.option("--allow-unsigned", is_flag=True, help="Take a bundle that no given key signed.")
@click.option("--allow-expired", is_flag=True, help="Take a bundle that is past its date.")
@common.naming
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Images whose name has this expression in it."
)
@click.option("--verify-first", is_flag=True, help="Read all of the bundle before the first push.")
@click.option("--keep-going", is_flag=True, help="Leave out what fails; the rest is imported.")
@click.option("--dry-run", is_flag=True, help="Print old and new names; push nothing.")
@click.option("--receipt", type=common.PATH, help="Write the receipt to this file.")
@common.access("", "the target's registry", local=False)
@common.jobs
@common.as_json
def import_(
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
    """Push the images of BUNDLE to TARGET, if BUNDLE is whole and signed by a --key.

    TARGET is docker://HOST[:PORT][/PREFIX], oci:DIRECTORY, dir:DIRECTORY, or a YAML file that
    says the same and more.
    """
    public = signing_keys.public_keys(trusted)
    from bundler.bundle.importing import import_bundle  # noqa: PLC0415 - not for --help
    from bundler.cli.options import import_target  # noqa: PLC0415

    goal = import_target.goal(target, naming, access)
    order = import_bundle.ImportRequest(
        bundle,
        goal.target,
        public,
        allow_unsigned=allow_unsigned,
        allow_expired=allow_expired,
        names=goal.names,
        only=import_target.patterns(only),
        existing=goal.existing,
    )
    account = None if dry_run else import_target.receipts(receipt)
    with context.running(jobs) as work:
        if verify_first:
            import_target.verify_first(order, work)
        engine = work.engine(keep_going=keep_going, read_everything=True)
        places = work.options(goal.overrides)
        report = import_bundle.import_bundle(order, places, engine, dry_run=dry_run)
    reports.imported(report, as_json=as_json, dry_run=dry_run)
    if account is not None:
        import_target.keep(report.to_json(), account)
    report.check()
