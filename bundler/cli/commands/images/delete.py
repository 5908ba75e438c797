"""``airbundle delete``: delete an image from a registry or a layout."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends import frontend
from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.group import option
from bundler.cli.options.registry_access import access
from bundler.cli.options.retry import retry_options
from bundler.cli.output import text
from bundler.cli.runtime import context
from bundler.errors import UnsupportedError

if TYPE_CHECKING:
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Destination, Reference


@command("delete", "airbundle delete docker://registry.plant:5000/library/nginx:1.26")
@click.argument("image")
@option("--tag-only", is_flag=True, help="Delete only the tag, not the image.")
@access("the registry")
@retry_options
@common.as_json
def delete(
    image: str, *, tag_only: bool, access: AccessOptions, retry: Retry, as_json: bool
) -> None:
    """Delete IMAGE, and print its reference and digest.

    IMAGE is docker://HOST/NAME:TAG or oci:DIRECTORY:NAME. In a registry, all tags of the
    image are deleted with it; many registries allow this only if configured. In a layout, blobs
    that no other image needs are deleted.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help

    reference = transports.parse(image)
    with context.running(1) as work:
        opening = work.opening(image, access)

        def act() -> Descriptor:
            with closing(transports.open_destination(reference, opening)) as destination:
                return _remove(destination, reference, tag_only=tag_only)

        gone = work.retrying(retry, act)
    if as_json:
        text.document(
            {"reference": str(reference), "digest": str(gone.digest), "tagOnly": tag_only}
        )
    elif frontend.current().tells_outcomes:
        text.line(f"{reference} {gone.digest}")


def _remove(destination: Destination, reference: Reference, *, tag_only: bool) -> Descriptor:
    from bundler.ports import Deletes, DeletesTags  # noqa: PLC0415 - not for --help

    if tag_only:
        if isinstance(destination, DeletesTags):
            return destination.untag(reference.name)
        raise UnsupportedError(
            f"{reference}: a tag cannot be deleted without its image in {reference.transport}:",
            hint="without --tag-only the image is deleted, unless it has another name",
        )
    if isinstance(destination, Deletes):
        return destination.delete(reference.name)
    raise UnsupportedError(
        f"{reference}: images cannot be deleted in {reference.transport}:",
        hint="remove the file or the directory itself",
    )
