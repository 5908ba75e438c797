"""``airbundle inspect``: show the properties of an image or artifact."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.options import global_options
from bundler.cli.options.command import command
from bundler.cli.options.group import option
from bundler.cli.options.registry_access import access
from bundler.cli.options.retry import retry_options
from bundler.cli.runtime import context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry


@command("inspect", "airbundle inspect docker://quay.io/prometheus/prometheus:v2.53.1")
@click.argument("image")
@option("--raw", is_flag=True, help="Print the manifest unchanged.")
@option("--config", is_flag=True, help="Print the config; with --raw unchanged.")
@option(
    "-f", "--format", "template", metavar="TEMPLATE", help="Print the result of this Go template."
)
@option("-n", "--no-tags", is_flag=True, help="Do not list the repository's tags.")
@option(
    "--manifest-digest",
    "algorithm",
    type=click.Choice(["sha256", "sha512"]),
    help="Print the digest with this algorithm.",
)
@option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Select this image of an index (default: this machine's).",
)
@access("the registry")
@retry_options
def inspect(
    image: str,
    *,
    raw: bool,
    config: bool,
    template: str | None,
    no_tags: bool,
    algorithm: str | None,
    platform: str | None,
    access: AccessOptions,
    retry: Retry,
) -> None:
    """Show digest, tags, labels, layers and more of IMAGE as a JSON document.

    IMAGE is written as for copy. If IMAGE is an index, the digest is that of the index, and
    the rest describes one of its images. TEMPLATE is a Go template such as {{.Digest}}.
    """
    if raw and template is not None:
        raise UsageError("--raw and --format exclude one another")
    unused = algorithm is not None and (raw or config)
    if unused and not global_options.said().ignore_unused_options:
        raise UsageError("--manifest-digest has no effect on --raw and --config")
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images import inspect as inspection  # noqa: PLC0415 - as above
    from bundler.images.format_output import format_struct  # noqa: PLC0415 - as above
    from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

    reference = transports.parse(image)
    wanted = context.platform() if platform is None else Platform.parse(platform)
    with context.running(1) as work:
        opening = work.opening(image, access)

        def read() -> bytes:
            with closing(transports.open_source(reference, opening)) as place:
                found = inspection.read_root(place, reference)
                if raw and not config:
                    return (
                        found.raw
                        if platform is None
                        else inspection.select_image(found, wanted).raw
                    )
                if not config:
                    some = inspection.select_manifest(found, wanted)
                    tags = [] if no_tags else inspection.list_repository_tags(place, work.emit)
                    return format_struct(
                        inspection.create_summary(found, some, tags, algorithm), template
                    )
                one = inspection.select_image(found, wanted)
                if raw:
                    return found.read_config(one)
                return format_struct(inspection.read_config(found, one), template)

        output = work.retrying(retry, read)
    sys.stdout.buffer.write(output)
