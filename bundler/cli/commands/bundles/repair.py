"""``airbundle repair``: restore the damaged files of a bundle with its recovery data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.recovery.repair import RepairReport


@command(
    "repair",
    "airbundle repair /media/stick/plant-7 --key plant.pub",
    "airbundle repair /media/disc/plant-7 --key plant.pub --output /var/tmp/plant-7",
)
@click.argument("bundle", type=common.PATH)
@option(
    "--output",
    type=common.PATH,
    metavar="DIRECTORY",
    section=common.OUTPUT,
    help="Write the repaired bundle to this new directory, and leave BUNDLE unchanged.",
)
@key_trust
@option(
    "--allow-unsigned",
    is_flag=True,
    section="Trust",
    help="Repair a bundle that is not signed by a given key.",
)
@common.as_json
@pass_context
def repair(
    context: CommandContext,
    bundle: Path,
    *,
    output: Path | None,
    trust: TrustOptions,
    allow_unsigned: bool,
    as_json: bool,
) -> None:
    """Restore damaged files of BUNDLE with the recovery data that its export added.

    Each file is replaced only when its replacement has been compared with its digest, so an
    interrupted repair leaves no more damage than there was; run it again to continue. The exit
    status is 3 if more is damaged than the recovery data can restore; the files and images that are
    lost are listed then, and all others are restored.

    Replace a medium that loses data: copy the bundle to another one, or use --output.
    """
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    from bundler.bundle.recovery import repair as repairing  # noqa: PLC0415 - not for --help

    with context.run(None) as run:
        report = repairing.repair(
            bundle,
            trusted,
            run.create_engine_options(keep_going=False),
            output=output,
            allow_unsigned=allow_unsigned,
        )
    if as_json:
        text.print_json(report.to_json())
    else:
        print_report(report)
    report.check()


def print_report(report: RepairReport) -> None:
    """Print the report of a repair as text."""
    for path in report.repaired:
        text.print_line(f"repaired: {path}")
    number = text.count(len(report.damaged), "damaged file")
    state = "whole" if report.verification.whole else "damaged"
    text.print_line(
        f"{report.location}: {state}: {number}, {len(report.repaired):,} of them repaired"
    )
