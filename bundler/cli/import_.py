"""``airbundle import``: what a bundle holds goes where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli import keys, options, outcomes, run

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options import AccessOptions, NamingOptions


@options.command(
    "import", "airbundle import /media/stick/plant-7 docker://registry.plant:5000 --key plant.pub"
)
@click.argument("bundle", type=options.PATH)
@click.argument("target")
@click.option("--key", "trusted", multiple=True, type=options.PATH, help="Trust this public key.")
@click.option("--allow-unsigned", is_flag=True, help="Take a bundle that no given key signed.")
@click.option("--allow-expired", is_flag=True, help="Take a bundle that is past its date.")
@options.naming
@click.option(
    "--only", multiple=True, metavar="PATTERN", help="Images whose name has this expression in it."
)
@click.option("--verify-first", is_flag=True, help="Read all of the bundle before the first push.")
@click.option("--keep-going", is_flag=True, help="Leave out what fails; the rest is imported.")
@click.option("--dry-run", is_flag=True, help="Print old and new names; push nothing.")
@click.option("--receipt", type=options.PATH, help="Write the receipt to this file.")
@options.access("", "the target's registry", local=False)
@options.jobs
@options.as_json
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
    public = keys.public_keys(trusted)
    from bundler.bundle import importing  # noqa: PLC0415 - not for --help
    from bundler.cli import arriving  # noqa: PLC0415

    goal = arriving.goal(target, naming, access)
    order = importing.ImportOrder(
        bundle,
        goal.target,
        public,
        allow_unsigned=allow_unsigned,
        allow_expired=allow_expired,
        names=goal.names,
        only=arriving.patterns(only),
        existing=goal.existing,
    )
    account = None if dry_run else arriving.receipts(receipt)
    with run.running(jobs) as work:
        if verify_first:
            arriving.verify_first(order, work)
        engine = work.engine(keep_going=keep_going, read_everything=True)
        places = work.options(goal.overrides)
        report = importing.import_bundle(order, places, engine, dry_run=dry_run)
    outcomes.imported(report, as_json=as_json, dry_run=dry_run)
    if account is not None:
        arriving.keep(report.to_json(), account)
    report.check()
