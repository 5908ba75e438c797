"""``airbundle layers``: write layers of an image to a new directory; for old scripts."""

from __future__ import annotations

import click

from bundler.cli.options.command import command
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.runtime.context import CommandContext, pass_context


@command("layers", hidden=True)
@click.argument("image")
@click.argument("layers", nargs=-1)
@access("the registry")
@retry_options
@pass_context
def layers(
    context: CommandContext,
    image: str,
    layers: tuple[str, ...],
    *,
    access: AccessOptions,
    retry: RetryOptions,
) -> None:
    """Write the layers of IMAGE with the digests LAYERS (default: all) to a new directory.

    Deprecated: use copy with a dir: destination, which writes the whole image.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.extract_layers import LayersRequest, extract_layers  # noqa: PLC0415
    from bundler.oci.digest import Digest  # noqa: PLC0415

    digests = tuple(Digest(text if ":" in text else f"sha256:{text}") for text in layers)
    request = LayersRequest(transports.parse(image), context.detect_platform(), digests)
    with context.run(1) as run:
        reading = access.create_open_options(run, image)
        writing, check = run.create_open_options(), run.create_policy_check()
        retry.call(
            lambda: extract_layers(request, reading, writing, check), run.cancellation, run.emit
        )
