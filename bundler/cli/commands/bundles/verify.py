"""``airbundle verify``: check a bundle and its signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.verifying.verify import Verification


@command("verify", "airbundle verify /media/stick/plant-7 --key plant.pub")
@click.argument("bundle", type=common.PATH)
@bundle_trust
@common.jobs("Number of files read in parallel (default: one per core).")
@common.as_json
@pass_context
def verify(
    context: CommandContext,
    bundle: Path,
    *,
    trust: TrustOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Read all of BUNDLE, and report damage and signers.

    The exit status is 0 if the bundle is whole and signed by a given key, 3 if it is damaged, 4 if
    it is whole but expired or not signed by a given key, and 5 if the medium fails to read it.
    """
    trusted = trusted_keys.read_trust(trust)
    from bundler.bundle.verifying import verify as verifying  # noqa: PLC0415 - not for --help

    with context.run(1) as run:
        verification = verifying.verify(
            bundle,
            trusted,
            signature_files=trust.signature_files,
            threads=jobs,
            cancellation=run.cancellation,
            emit=run.emit,
        )
    if as_json:
        text.print_json(verification.to_json())
    else:
        print_report(verification)
    verification.check()


def print_report(verification: Verification) -> None:
    """Print the report of a verification as text."""
    known = verification.inventory
    if known is not None:
        until = f", expires {known.expires:%Y-%m-%d %H:%M}Z" if known.expires else ""
        text.print_line(
            f"{known.stream} {known.serial}, created {known.created:%Y-%m-%d %H:%M}Z{until}"
        )
        if not known.complete:
            text.print_line(text.INCOMPLETE)
    findings = text.count(len(verification.findings), "finding")
    problem = "cannot be read" if verification.unreadable else "damaged"
    state = "whole" if verification.whole else f"{problem} ({findings})"
    absent = len({layer.digest for _, layer in verification.omissions.layers})
    if verification.whole and absent:
        layers = f"{text.count(absent, 'foreign layer')} {text.be(absent)}"
        state = f"whole, but {layers} not in this bundle"
    number, size = text.count(verification.files, "file"), text.format_size(verification.size)
    images = "" if known is None else f", {text.count(len(known.images), 'image')}"
    text.print_line(f"{state}: {number}, {size}{images}")
    for line in verification.omissions.describe():
        text.print_line(line)
    if verification.ignored:
        text.print_line(
            f"ignored: {text.count(verification.ignored, 'other file')} beside the bundle"
        )
    if verification.unlisted:
        text.print_line(
            f"unlisted: {text.count(verification.unlisted, 'file')} from an interrupted renewal;"
            " run the export again to complete it"
        )
    for key in verification.signers:
        text.print_line(f"signed by {key.fingerprint}")
