"""``airbundle vulns``: compare the packages in images with a database of vulnerabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.auditing.vulnerabilities import VulnerabilityOptions, vulnerability_options
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images
from bundler.errors import FindingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.location import Location
    from bundler.bundle.audit.vulnerabilities.levels import Level
    from bundler.bundle.audit.vulnerabilities.result import (
        ImageVulnerabilities,
        Vulnerability,
        VulnerabilityReport,
    )

_MAX_PRINTED = 10


@command("vulns", "airbundle vulns /media/stick/plant-7 nginx:1.27 --database osv/")
@location_arguments(location="LOCATION", images="[IMAGE]...")
@vulnerability_options
@option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    help="Exit with 12 if a vulnerability has this severity, a higher or an unknown one, or if a"
    " package was not checked.",
)
@option(
    "--claims",
    is_flag=True,
    help="Show what statements that came with the images (VEX) say about each vulnerability; they"
    " change nothing.",
)
@platforms.any_platform
@cache_options
@access("the registry")
@key_trust
@common.as_json
@pass_context
def vulns(
    context: CommandContext,
    location: Location,
    images: tuple[str, ...],
    *,
    vulnerabilities: VulnerabilityOptions,
    fail_on: str | None,
    claims: bool,
    platform: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """List the known vulnerabilities of the packages in each IMAGE, or in all images.

    LOCATION and IMAGE are specified as for files. The packages are those that the command packages
    lists. They are compared with the OSV records of --database, which you bring in; nothing is
    downloaded. For each ecosystem, the output states how many packages were checked, and why others
    were not. If a file with packages or a record cannot be read, vulnerabilities may be missing:
    the exit status is 12.
    """
    files = vulnerabilities.get_files()
    if files is None:
        raise UsageError("missing --database PATH", hint="docs/audit.md lists databases")
    found = opened_images.read_packages(
        context, location, images, platform, access, trust=trust, claims=claims, cache=cache
    )
    with context.run(1) as run:
        report = files.check(found, run.cancellation)
    if as_json:
        text.print_json(report.to_json())
    else:
        database = report.database
        modified = f"{database.modified:%Y-%m-%d}" if database.modified else "never"
        text.print_line(
            f"database {database.path}: {text.count(database.records, 'record')}, last changed"
            f" {modified}, {database.digest}"
        )
        for problem in database.problems:
            text.print_line(f"  NOT READ, vulnerabilities may be missing: {problem}")
        if database.unreadable > len(database.problems):
            text.print_line(f"  and {database.unreadable - len(database.problems)} more")
        for kind, item in report.exploits.items():
            date = item["released"] or "no date"
            text.print_line(f"{kind} {item['path']}: {date}, {item['digest']}")
        for image in report.images:
            _print_image(image)
    _check(report, cast("Level | None", fail_on))


def _print_image(image: ImageVulnerabilities) -> None:
    packages = image.packages
    number = _count(image.vulnerabilities)
    text.print_line()
    text.print_line(f"{packages.name} ({packages.image.platform}): {number}")
    text.print_unread(packages.findings)
    if not packages.packages:
        text.print_line("  NOT CHECKED: no packages were found")
    for item in image.coverage:
        checked = f"{text.count(item.checked, 'package')} checked" if item.checked else ""
        unchecked = f"{item.unchecked} NOT CHECKED: {item.reason}" if item.unchecked else ""
        text.print_line(f"  {item.ecosystem}: {'; '.join(filter(None, (checked, unchecked)))}")
    for record in image.unchecked[:_MAX_PRINTED]:
        text.print_line(f"  NOT CHECKED: {record.package.full_name}, {record.id}: {record.reason}")
    if len(image.unchecked) > _MAX_PRINTED:
        text.print_line(f"  and {len(image.unchecked) - _MAX_PRINTED} more, see --json")
    rows = []
    for found in image.vulnerabilities:
        probability = "" if found.probability is None else f"{found.probability:.1%}"
        row = (
            f"  {found.severity}",
            found.name,
            found.package.full_name,
            found.package.version,
            " ".join(found.fixed) or "-",
            " ".join(filter(None, ("KNOWN" if found.exploit else "", probability))),
            ", ".join(sorted({claim.statement.status for claim in found.claims})),
            found.summary[:80],
        )
        rows.append(row)
    if rows:
        header = (
            "  SEVERITY",
            "ID",
            "PACKAGE",
            "VERSION",
            "FIXED IN",
            "EXPLOIT",
            "CLAIM",
            "SUMMARY",
        )
        text.print_table(header, rows)


def _count(found: Sequence[Vulnerability]) -> str:
    return f"{len(found):,} {'vulnerability' if len(found) == 1 else 'vulnerabilities'}"


def _check(report: VulnerabilityReport, fail_on: Level | None) -> None:
    """Report files and records that cannot be read, and what ``--fail-on`` refuses.

    Raises:
        FindingsError: there is such a file, record, vulnerability or package.
    """
    from bundler.bundle.audit.packages.image_packages import check_findings  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.vulnerabilities.levels import LEVELS  # noqa: PLC0415 - as above

    check_findings([image.packages for image in report.images])
    database = report.database
    if database.unreadable:
        raise FindingsError(
            f"{database.path}: vulnerabilities may be missing:"
            f" {text.count(database.unreadable, 'record')} cannot be read",
            [str(problem) for problem in database.problems],
        )
    if fail_on is None:
        return
    failures = [
        item
        for image in report.images
        for item in image.vulnerabilities
        if item.severity.level == "unknown"
        or LEVELS.index(item.severity.level) >= LEVELS.index(fail_on)
    ]
    incomplete = [image for image in report.images if not image.is_complete]
    if failures or incomplete:
        unchecked = f", {text.count(len(incomplete), 'image')} not checked completely"
        raise FindingsError(
            f"{_count(failures)} with at least the severity {fail_on} or an unknown one"
            f"{unchecked if incomplete else ''}",
            (),
        )
