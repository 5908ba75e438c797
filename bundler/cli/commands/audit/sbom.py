"""``airbundle sbom``: write an SBOM of an image."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

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

Format = Literal["cyclonedx", "spdx"]


@command("sbom", "airbundle sbom /media/stick/plant-7 prometheus:v2.53.1 -o prometheus.cdx.json")
@location_arguments(location="LOCATION", image="[IMAGE]")
@option(
    "--format",
    "sbom_format",
    type=click.Choice(["cyclonedx", "spdx"]),
    default="cyclonedx",
    help="Write CycloneDX 1.6 or SPDX 2.3 (default: cyclonedx).",
)
@option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the document to FILE (default: stdout).",
)
@platforms.one_platform
@cache_options
@access("the registry")
@key_trust
@pass_context
def sbom(
    context: CommandContext,
    location: Location,
    image: str | None,
    *,
    sbom_format: Format,
    output: Path | None,
    platform: str | None,
    cache: CacheOptions,
    access: AccessOptions,
    trust: TrustOptions,
) -> None:
    """Write an SBOM of IMAGE: the packages that the command packages lists, as JSON.

    LOCATION and IMAGE are specified as for files. If a file that should state packages cannot be
    read, the document says that it is incomplete, and the exit status is 12.
    """
    from bundler.bundle.audit.packages.image_packages import check_findings  # noqa: PLC0415 - not for --help

    found = opened_images.read_platform_packages(
        context, location, image, platform, access, trust=trust, cache=cache
    )
    now = datetime.now(UTC)
    if sbom_format == "spdx":
        from bundler.bundle.audit.packages.sbom.spdx import create_spdx  # noqa: PLC0415 - as above

        document = create_spdx(found, now)
    else:
        from bundler.bundle.audit.packages.sbom.cyclonedx import create_cyclonedx  # noqa: PLC0415

        document = create_cyclonedx(found, now)
    if output is None:
        text.print_json(document)
    else:
        import json  # noqa: PLC0415 - not for --help

        from bundler.content.files.atomic_write import write_bytes  # noqa: PLC0415 - as above

        write_bytes(output, json.dumps(document, indent=2).encode() + b"\n")
    check_findings([found])
