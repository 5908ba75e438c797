"""``airbundle inspect``: show the properties of an image or artifact."""

from __future__ import annotations

import sys

import click

from bundler.cli.options.command import command
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.option import option, refuse_conflicts
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError


@command("inspect", "airbundle inspect docker://quay.io/prometheus/prometheus:v2.53.1")
@click.argument("image")
@option("--raw", is_flag=True, help="Print the manifest unchanged.")
@option("--config", is_flag=True, help="Print the config; with --raw, unchanged.")
@option(
    "-f", "--format", "template", metavar="TEMPLATE", help="Print the result of this Go template."
)
@option("-n", "--no-tags", is_flag=True, help="Do not list the repository's tags.")
@option(
    "--manifest-digest",
    "algorithm",
    type=click.Choice(["sha256", "sha512"]),
    help="Compute the digest with this algorithm.",
)
@option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="Select the image for this platform from an index (default: this machine's).",
)
@access("the registry")
@retry_options
@pass_context
def inspect(
    context: CommandContext,
    image: str,
    *,
    raw: bool,
    config: bool,
    template: str | None,
    no_tags: bool,
    algorithm: str | None,
    platform: str | None,
    access: AccessOptions,
    retry: RetryOptions,
) -> None:
    """Show digest, tags, labels, layers and more of IMAGE as a JSON document.

    IMAGE is specified as for copy. If IMAGE is an index, the digest is that of the index, and the
    other properties are those of one of its images. TEMPLATE is a Go template such as {{.Digest}}.
    """
    refuse_conflicts({"--raw": raw, "--format": template})
    if algorithm is not None and (raw or config):
        raise UsageError("--manifest-digest cannot be combined with --raw or --config")
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.inspect import InspectRequest, inspect_image  # noqa: PLC0415 - as above
    from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

    request = InspectRequest(
        transports.parse(image),
        context.detect_platform() if platform is None else Platform.parse(platform),
        raw=raw,
        config=config,
        template=template,
        tags=not no_tags,
        algorithm=algorithm,
        raw_of_platform=platform is not None,
    )
    with context.run(1) as run:
        options = access.create_open_options(run, image)
        output = retry.call(lambda: inspect_image(request, options), run.cancellation, run.emit)
    sys.stdout.buffer.write(output)
