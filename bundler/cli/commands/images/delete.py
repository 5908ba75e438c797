"""``airbundle delete``: delete an image from a registry or a layout."""

from __future__ import annotations

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context


@command("delete", "airbundle delete docker://registry.plant:5000/library/nginx:1.26")
@click.argument("image")
@option("--tag-only", is_flag=True, help="Delete only the tag, not the image.")
@access("the registry")
@retry_options
@common.as_json
@pass_context
def delete(
    context: CommandContext,
    image: str,
    *,
    tag_only: bool,
    access: AccessOptions,
    retry: RetryOptions,
    as_json: bool,
) -> None:
    """Delete IMAGE, and print its reference and digest.

    IMAGE is docker://HOST/NAME:TAG or oci:DIRECTORY:NAME. In a registry, all tags of the
    image are deleted with it; many registries must be configured to allow this. In a layout, blobs
    that no other image needs are deleted.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.delete import DeleteRequest, delete_image  # noqa: PLC0415 - as above
    from bundler.ports import RepositoryReference  # noqa: PLC0415 - as above

    request = DeleteRequest(transports.parse(image), tag_only)
    with context.run(1) as run:
        options = access.create_open_options(run, image)
        deleted = retry.call(lambda: delete_image(request, options), run.cancellation, run.emit)
    named, digest = request.reference, str(deleted.digest)
    reference = str(named)
    image_name = named.image if isinstance(named, RepositoryReference) else None
    if image_name is not None:
        complete = str(image_name.with_default_tag())
        reference = f"{reference.removesuffix(str(image_name))}{complete}"
    if as_json:
        text.print_json({"reference": reference, "digest": digest, "tagOnly": tag_only})
    else:
        text.print_line(f"{reference} {digest}")
