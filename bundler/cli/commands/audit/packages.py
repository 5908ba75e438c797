"""``airbundle packages``: list the packages in images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.options import common
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.images import platforms
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images

if TYPE_CHECKING:
    from bundler.bundle.audit.location import Location
    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.packages.image_packages import ImagePackages

_MAX_PRINTED = 10


@command("packages", "airbundle packages /media/stick/plant-7 prometheus:v2.53.1")
@location_arguments(location="LOCATION", image="[IMAGE]")
@option("--licenses", is_flag=True, help="List the licences with their numbers of packages.")
@option("--claims", is_flag=True, help="Compare with the SBOMs that came with the images.")
@platforms.any_platform
@cache_options
@access("the registry")
@key_trust
@common.as_json
@pass_context
def packages(
    context: CommandContext,
    location: Location,
    image: str | None,
    *,
    licenses: bool,
    claims: bool,
    platform: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
    as_json: bool,
) -> None:
    """List the packages in IMAGE, or in all images, with their versions and licences.

    LOCATION and IMAGE are specified as for files. The packages are those that the databases and
    files of package managers state, which the author of an image can change. Each layer is read
    once and verified. If a file cannot be read, packages may be missing: the file is reported, and
    the exit status is 12.
    """
    from bundler.bundle.audit.packages.image_packages import check_findings  # noqa: PLC0415 - not for --help

    found = opened_images.read_packages(
        context,
        location,
        [image] if image else [],
        platform,
        access,
        trust=trust,
        cache=cache,
        claims=claims,
    )
    if as_json:
        text.print_json({"images": [item.to_json() for item in found]})
    else:
        for item in found:
            _print_packages(item, licenses=licenses)
            for claim in item.claims or ():
                _print_claim(claim)
    check_findings(found)


def _print_packages(image: ImagePackages, *, licenses: bool) -> None:
    distribution = f", {image.distribution.name}" if image.distribution is not None else ""
    number = text.count(len(image.packages), "package")
    text.print_line(f"{image.name} ({image.image.platform}{distribution}): {number}")
    text.print_unread(image.findings)
    if licenses:
        rows = [(str(number), name or "not stated") for name, number in image.count_licenses()]
        text.print_table(("  PACKAGES", "LICENCE"), rows, right=[0])
    elif image.packages:
        text.print_table(
            ("  TYPE", "NAME", "VERSION", "LICENCES", "PATH"),
            [
                (
                    f"  {item.type}",
                    item.full_name,
                    item.version,
                    " ".join(", ".join(item.licenses).split())[:60],
                    item.path,
                )
                for item in image.packages
            ],
        )


def _print_claim(claim: Claim) -> None:
    document = claim.document
    if document is None:
        text.print_line(f"claim {claim.digest}: cannot be read: {claim.problem}")
        return
    about = "" if claim.is_about else ", about other content than this image"
    text.print_line(f"claim {claim.digest}: {document.type}{about}")
    if document.packages is not None:
        text.print_line(f"  states {text.count(len(document.packages), 'package')}")
        for title, purls in (("not found", claim.not_found), ("not claimed", claim.not_claimed)):
            text.print_line(f"  {title}: {len(purls)}")
            for purl in purls[:_MAX_PRINTED]:
                text.print_line(f"    {purl}")
            if len(purls) > _MAX_PRINTED:
                text.print_line(f"    and {len(purls) - _MAX_PRINTED} more, see --json")
