"""``airbundle log find``: search the evidence of all imports and audits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common, records
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.records.evidence.answer import Answer, Query
    from bundler.cli.options.records import Period


@command(
    "find",
    "airbundle log find --package 'log4j-core@2.14*'",
    "airbundle log find --package 'log4j-core@>=2.0,<2.15'",
    "airbundle log find --digest sha256:4f2d1c9a77b0 --since 2026-01-01",
)
@option(
    "--package",
    metavar="NAME[@VERSION]",
    help="Find images with a package whose name, or that of its source package, and version match"
    " these shell patterns. VERSION may be a range, such as '>=2.0,<2.15'.",
)
@option(
    "--image",
    metavar="PATTERN",
    help="Find images whose reference or target name matches this RE2 expression.",
)
@option(
    "--digest",
    metavar="DIGEST",
    help="Find bundles by their inventory, and images by a manifest, config, layer or referrer; 12"
    " digits suffice.",
)
@option(
    "--vulnerability",
    metavar="ID",
    help="Find images in which a check for vulnerabilities found this CVE or other ID, as far as"
    " its database contained it.",
)
@option(
    "--person",
    metavar="TEXT",
    help="Find what this signer signed or this operator ran: a part of the name, or at least 8"
    " digits of a fingerprint.",
)
@records.period
@records.directory
@common.as_json
@pass_context
def find(
    context: CommandContext,
    *,
    package: str | None,
    image: str | None,
    digest: str | None,
    vulnerability: str | None,
    person: str | None,
    period: Period,
    records_path: Path | None,
    as_json: bool,
) -> None:
    """Find the imports and audits that meet all given conditions, and the images in them.

    Everything is searched that was kept; nothing needs to be mounted or reachable. Packages are
    known for images whose layers were read, by any import or audit. Those that only an SBOM of the
    sender states are marked as claimed.

    The exit status is 9 if nothing is found, and 11 if the evidence of an import or an audit is
    incomplete, so that matches may be missing: standard error lists each one with a code.
    """
    query = _create_query(
        package=package,
        image=image,
        digest=digest,
        vulnerability=vulnerability,
        person=person,
        period=period,
    )
    from bundler.bundle.records.evidence.search import search  # noqa: PLC0415 - not for --help

    found = records.read_existing(records_path, context.environment)
    names = trusted_keys.read_names(context)
    answer = search(found, query, names)
    if as_json:
        text.print_json(answer.to_json())
    elif answer.matches:
        _print_matches(answer)
    answer.check()
    if not answer.matches:
        raise NotFoundError(
            f"nothing found in {text.count(answer.entries, 'line')} of the log",
            hint="a check knows only what its database contained: search for the package"
            if vulnerability
            else None,
        )


def _create_query(
    *,
    package: str | None,
    image: str | None,
    digest: str | None,
    vulnerability: str | None,
    person: str | None,
    period: Period,
) -> Query:
    """Create the query from the options.

    Raises:
        UsageError: there is no condition, or one is malformed.
    """
    from bundler.bundle.records.evidence.answer import Query  # noqa: PLC0415 - not for --help
    from bundler.bundle.records.evidence.package_query import PackageQuery  # noqa: PLC0415
    from bundler.gocompat.regexp import GoExpression  # noqa: PLC0415 - as above

    conditions = (package, image, digest, vulnerability, person, period.since, period.until)
    if not any(conditions):
        raise UsageError(
            "no condition (expected --package, --image, --digest, --vulnerability, --person,"
            " --since or --until)",
            hint="list everything with airbundle log show",
        )
    try:
        pattern = None if image is None else GoExpression.parse(image)
    except UsageError as error:
        raise UsageError(f"--image: {error.message}") from None
    return Query(
        since=period.since,
        until=period.until,
        person=person or "",
        image=pattern,
        digest=common.parse_short_digest(digest) if digest else "",
        package=PackageQuery.parse(package) if package else None,
        vulnerability=(vulnerability or "").lower(),
    )


def _print_matches(answer: Answer) -> None:
    rows = []
    for match in answer.matches:
        value = match.to_json()
        bundle = f"{value['stream']} {value['serial']}" if "stream" in value else ""
        rows.append(
            (
                str(value["number"]),
                str(value["time"]),
                match.entry.event,
                bundle,
                str(value.get("reference", "")),
                match.platform,
                match.text + (" (claimed by the sender)" if match.is_claimed else ""),
                str(value.get("action", "")),
                str(value.get("name") or value.get("target") or value.get("location") or ""),
            )
        )
    header = ("LINE", "TIME", "EVENT", "BUNDLE", "IMAGE", "PLATFORM", "MATCH", "RESULT", "TARGET")
    text.print_table(header, rows, right=(0,))
