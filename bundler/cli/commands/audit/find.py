"""``airbundle find``: search images by reference, digest, label, package and file."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images
from bundler.errors import BundlerError, CancelledError, NotFoundError, PartialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.listings.search import Match, Query
    from bundler.bundle.audit.location import Location


@command("find", "airbundle find /media/stick --file 'log4j-core-*.jar'")
@click.argument("locations", nargs=-1, required=True, metavar="LOCATION...")
@option(
    "--reference",
    "references",
    multiple=True,
    metavar="PATTERN",
    help=("Find images whose reference matches this RE2 expression. May be repeated."),
)
@option(
    "--digest",
    metavar="DIGEST",
    help=("Find images that contain this manifest, config, layer or referrer; 12 digits suffice."),
)
@option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY[=PATTERN]",
    help=(
        "Find images with this label, and a value that matches a shell pattern. May be repeated."
    ),
)
@option(
    "--package",
    metavar="NAME[@VERSION]",
    help="Find images with a package whose name and version match these shell patterns.",
)
@option(
    "--file",
    "file_pattern",
    metavar="PATTERN",
    help=(
        "Find files whose name matches this shell pattern; with a slash, it applies to the path."
    ),
)
@cache_options
@access("the registry")
@key_trust
@common.as_json
@pass_context
def find(
    context: CommandContext,
    locations: tuple[str, ...],
    *,
    references: tuple[str, ...],
    digest: str | None,
    labels: tuple[str, ...],
    package: str | None,
    file_pattern: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """Find images in LOCATIONs that meet all given conditions, and show why.

    LOCATION is a bundle, a directory with bundles at any level, or a reference as for copy. For
    --file and --package, all layers are read and verified, each once; a file counts if no upper
    layer removes it. The exit status is 9 if nothing is found, and 11 if something cannot be
    searched.
    """
    query = _create_query(references, digest, labels, package, file_pattern)
    trusted = opened_images.read_trust(context, trust)
    from bundler.bundle.audit.listings.files import ListingCache  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.listings.search import Search  # noqa: PLC0415 - as above

    opened, failures = _find_locations(locations)
    matches: list[Match] = []
    with (
        context.run(1) as run,
        cache.open(context, is_needed=bool(package or file_pattern)) as kept,
        closing(Search(query, ListingCache(), run.emit, run.cancellation, kept)) as search,
    ):
        for location in opened:
            try:
                with opened_images.open_in_run(run, location, access, trusted) as images:
                    matches += search.find(images)
            except CancelledError:
                raise
            except BundlerError as error:
                if len(opened) == 1 and not failures:
                    raise
                failures.append(error.message_about(str(location)))
            else:
                failures += [item.message_about(str(location)) for item in search.failures]
                search.failures.clear()
    if as_json:
        text.print_json({"matches": [match.to_json() for match in matches], "failed": failures})
    elif matches:
        text.print_table(
            ("LOCATION", "IMAGE", "PLATFORM", "MATCH"),
            [(item.location, item.image, item.platform or "", item.text) for item in matches],
        )
    if failures:
        raise PartialError("not all content was searched", failures)
    if not matches:
        raise NotFoundError(f"nothing found in {text.count(len(opened), 'location')}")


def _find_locations(words: Sequence[str]) -> tuple[list[Location], list[str]]:
    """Return the bundles and references to search, and what is not searched."""
    from bundler.bundle.audit.listings.find_bundles import find_bundles  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.location import group_locations  # noqa: PLC0415 - as above

    opened: list[Location] = []
    failures: list[str] = []
    for location in group_locations(words):
        if not location.is_path or len(location.words) > 1:
            opened.append(location)
            continue
        found = find_bundles(location.paths[0])
        opened += found.locations
        failures += [error.message_about(str(location)) for error in found.failures]
    return opened, failures


def _create_query(
    references: tuple[str, ...],
    digest: str | None,
    labels: tuple[str, ...],
    package: str | None,
    file_pattern: str | None,
) -> Query:
    """Create the query from the options.

    Raises:
        UsageError: there is no condition, or one is malformed.
    """
    from bundler.bundle.audit.listings.search import Query, parse_labels, parse_package  # noqa: PLC0415 - not for --help
    from bundler.gocompat.regexp import GoExpression  # noqa: PLC0415 - as above

    if not (references or digest or labels or package or file_pattern):
        raise UsageError(
            "no condition (expected --reference, --digest, --label, --package or --file)",
            hint="list all images with airbundle ls",
        )
    try:
        patterns = tuple(map(GoExpression.parse, references))
    except UsageError as error:
        raise UsageError(f"--reference: {error.message}") from None
    return Query(
        references=patterns,
        digest=common.parse_short_digest(digest) if digest else "",
        labels=parse_labels(labels),
        package=parse_package(package) if package else None,
        file=file_pattern or "",
    )
