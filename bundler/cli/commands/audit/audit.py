"""``airbundle audit``: check the images of a bundle against rules."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.bundle_trust import TrustOptions, key_trust
from bundler.cli.options.command import command
from bundler.cli.options.contents_cache import CacheOptions, cache_options
from bundler.cli.options.gate import GateOptions, gate_options
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.output import text
from bundler.cli.runtime import opened_images
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.rules.evaluate import Verdict


@command("audit", "airbundle audit /media/stick/plant-7 --rules gate.yaml")
@click.argument("location")
@gate_options
@option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    section=common.OUTPUT,
    help="Format of the findings on stdout.",
)
@common.as_json
@records.audit_directory
@cache_options
@access("the registry")
@key_trust
@pass_context
def audit(
    context: CommandContext,
    location: str,
    *,
    gate: GateOptions,
    output_format: str,
    as_json: bool,
    records_path: Path | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
) -> None:
    """Check the images of LOCATION against the rules of a site.

    LOCATION is a bundle, or a reference as for copy. Only as much is read as the rules need. A rule
    that cannot be evaluated is a finding. The exit status is 12 if there is a finding with at least
    the severity failOn of the rules file.

    With --records, layers are read too, and the inventory, its signatures, the packages, the claims
    and the verdict are kept in the records of the site, which log find searches.
    """
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for --help

    from bundler.bundle.audit.rules.evaluate import evaluate  # noqa: PLC0415 - as above
    from bundler.bundle.audit.rules.read_images import read_location  # noqa: PLC0415 - as above
    from bundler.bundle.audit.rules.run_programs import (  # noqa: PLC0415 - as above
        add_program_results,
    )
    from bundler.bundle.records import audits, site  # noqa: PLC0415 - as above

    applied = gate.load(location)
    if applied is None:
        raise UsageError("missing --rules FILE", hint="docs/rules.md lists the rules")
    if records_path is not None:
        site.prepare(records_path)
        site.read(records_path)
    depth = applied.rules.depth if records_path is None else "contents"
    with (
        cache.open(context, is_needed=depth == "contents") as kept,
        opened_images.open_images(context, location, access, trust) as (images, run),
        ThreadPoolExecutor(os.cpu_count()) as executor,
    ):
        audited = read_location(
            images,
            depth,
            executor,
            run.cancellation,
            emit=run.emit,
            now=datetime.now(UTC),
            extras=applied.rules.extras,
            cache=kept,
        )
        audited = add_program_results(audited, applied.rules.rules, run.cancellation)
        verdict = evaluate(applied.rules, replace(audited, former=applied.former), applied.waivers)
        if records_path is not None:
            operator = context.environment.describe_operator()
            audits.record_audit(records_path, images, verdict, operator)
    _print_verdict(verdict, "json" if as_json else output_format)
    verdict.check()


def _print_verdict(verdict: Verdict, output_format: str) -> None:
    if output_format == "json":
        text.print_json(verdict.to_json())
    elif output_format == "sarif":
        from bundler.cli.output.sarif import create_sarif  # noqa: PLC0415 - only for this format

        text.print_json(create_sarif(verdict))
    elif output_format == "junit":
        from bundler.cli.output.junit import create_junit  # noqa: PLC0415 - only for this format

        sys.stdout.write(create_junit(verdict))
    else:
        for finding in verdict.findings:
            text.print_line(str(finding))
        for item in verdict.waived:
            text.print_line(f"waived: {item.finding} ({item.waiver.author}: {item.waiver.reason})")
        advice = {item.code: item.advice for item in verdict.findings}
        if advice:
            text.print_line()
        for code, line in sorted(advice.items()):
            text.print_line(f"{code}: {line}")
        images = text.count(len(verdict.audited.images), "image")
        rules = text.count(len(verdict.rules.rules), "rule")
        findings = text.count(len(verdict.findings), "finding")
        waived = f", {len(verdict.waived)} waived" if verdict.waived else ""
        text.print_line(f"{images}, {rules}: {findings}{waived}")
