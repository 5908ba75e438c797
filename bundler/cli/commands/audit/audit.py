"""``airbundle audit``: check the images of a bundle against rules."""

from __future__ import annotations

import os
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, records
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.gate import GateOptions, gate_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, CommandRun, pass_context
from bundler.cli.runtime.inspecting import opened_images, report_files
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.audit.location import Location
    from bundler.bundle.audit.rules.audited import Depth, Extra
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.gate import Gate


@command("audit", "airbundle audit /media/stick/plant-7 --rules gate.yaml")
@location_arguments(location="LOCATION")
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
@option(
    "--report",
    "reports",
    multiple=True,
    type=common.PATH,
    metavar="FILE",
    section=common.OUTPUT,
    help="Write a report about all content to FILE.html, a page for people, or to FILE.json. May be"
    " repeated. Layers are read too, and --rules is optional.",
)
@common.as_json
@records.audit_directory
@cache_options
@access("the registry")
@key_trust
@pass_context
def audit(
    context: CommandContext,
    location: Location,
    *,
    gate: GateOptions,
    output_format: str,
    as_json: bool,
    reports: tuple[Path, ...],
    records_path: Path | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
) -> None:
    """Check the images of LOCATION against the rules of a site.

    LOCATION is a bundle, the directories of all its volumes, or a reference as for copy. Only as
    much is read as the rules need. A rule that cannot be evaluated is a finding. The exit status is
    12 if there is a finding with at least the severity failOn of the rules file.

    With --report, a page shows the verdict, the findings and all content, also without rules. If
    the audit ends with an error, the page states it.

    With --records, layers are read too, and the inventory, its signatures, the packages, the claims
    and the verdict are kept in the records of the site, which log find searches. This needs no
    rules: --database adds the known vulnerabilities.
    """
    _check_options(
        reports,
        has_rules=gate.rules is not None,
        has_records=records_path is not None,
        needs_rules={
            "--json": as_json,
            "--format": output_format != "text",
            "--since": gate.since is not None and not reports,
        },
    )
    with report_files.state_errors(reports, str(location)):
        applied = gate.load(
            location.words, needs_no_rules=bool(reports) or records_path is not None
        )
        if records_path is not None:
            from bundler.bundle.records import site  # noqa: PLC0415 - only with records

            site.prepare(records_path)
            site.read(records_path)
        with opened_images.open_images(context, location, access, trust) as (images, run):
            verdict = _audit_images(
                context, images, run, gate, applied, reports, records_path, cache
            )
    if verdict is None:
        kept = "" if records_path is None else f"; evidence kept in {records_path}"
        text.print_line(f"{text.count(len(images.images), 'image')}, no rules{kept}")
    else:
        _print_verdict(verdict, "json" if as_json else output_format)
        verdict.check()


def _check_options(
    reports: tuple[Path, ...],
    *,
    has_rules: bool,
    has_records: bool,
    needs_rules: Mapping[str, bool],
) -> None:
    """Check what the options require of each other.

    Raises:
        UsageError: rules are missing, or a report has a name of another form.
    """
    for path in reports:
        if path.suffix not in (".html", ".json"):
            raise UsageError(
                f"--report {path}: unknown form (expected a name that ends in .html or .json)"
            )
    if has_rules:
        return
    if not (reports or has_records):
        raise UsageError(
            "missing --rules FILE",
            hint="docs/rules.md lists the rules; --report and --records need none",
        )
    for name in (name for name, is_given in needs_rules.items() if is_given):
        raise UsageError(f"{name} requires --rules")


def _audit_images(  # noqa: PLR0917 - the values of the command
    context: CommandContext,
    images: OpenImages,
    run: CommandRun,
    gate: GateOptions,
    applied: Gate | None,
    reports: tuple[Path, ...],
    records_path: Path | None,
    cache: CacheOptions,
) -> Verdict | None:
    """Read the images, apply the rules, and write the reports and the records."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not for --help

    from bundler.bundle.audit.rules.evaluate import evaluate  # noqa: PLC0415 - as above
    from bundler.bundle.audit.rules.reading.read_images import read_location  # noqa: PLC0415 - as above
    from bundler.bundle.audit.rules.reading.read_vulnerabilities import (  # noqa: PLC0415 - as above
        add_vulnerabilities,
    )
    from bundler.bundle.audit.rules.run_programs import (  # noqa: PLC0415 - as above
        add_program_results,
    )

    files = gate.get_files()
    extras: frozenset[Extra] = frozenset() if applied is None else applied.rules.extras
    depth: Depth = "contents"
    if applied is not None and not reports and records_path is None:
        depth = applied.rules.depth
    verdict = None
    with (
        ThreadPoolExecutor(os.cpu_count()) as executor,
        # Evidence is what was read, and not what was kept of an earlier command.
        cache.open(context, is_needed=depth == "contents" and records_path is None) as kept,
    ):
        audited = read_location(
            images,
            depth,
            executor,
            run.cancellation,
            emit=run.emit,
            now=datetime.now(UTC),
            extras=extras,
            signers=() if applied is None else applied.rules.vex,
            cache=kept,
        )
        # The result is shown and kept even if no rule needs it.
        is_needed = bool(reports or records_path) or "vulnerabilities" in extras
        if files is not None and is_needed:
            audited = add_vulnerabilities(audited, files, run.cancellation)
        if applied is not None:
            audited = add_program_results(audited, applied.rules.rules, run.cancellation)
            audited = replace(audited, former=applied.former_images)
            verdict = evaluate(applied.rules, audited, applied.waivers)
    if reports:
        former = gate.read_former() if applied is None else applied.former
        report_files.write(reports, images, audited, verdict, former)
    if records_path is not None:
        from bundler.bundle.records import audits  # noqa: PLC0415 - only with records

        operator = context.environment.describe_operator()
        audits.record_audit(records_path, images, audited, verdict, operator)
    return verdict


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
        text.print_line(_summarize(verdict))


def _summarize(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    from bundler.bundle.audit.rules.finding import SEVERITIES  # noqa: PLC0415 - not for --help

    audited = verdict.audited
    counted = Counter(item.severity for item in verdict.findings)
    parts = [
        text.count(counted[severity], severity)
        for severity in reversed(SEVERITIES)
        if counted[severity]
    ]
    if verdict.waived:
        parts.append(f"{len(verdict.waived)} waived")
    unchecked = sum(item.is_unchecked for item in verdict.findings)
    if unchecked:
        parts.append(f"{unchecked} of them not checked")
    if audited.inventory is not None and not audited.is_authenticated:
        parts.append("signatures of the bundle not verified")
    images = text.count(len(audited.images), "image")
    rules = text.count(len(verdict.rules.rules), "rule")
    result = "does not pass" if verdict.failures else "passes"
    return f"{result} ({images}, {rules}): {', '.join(parts) or 'no findings'}"
