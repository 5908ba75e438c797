"""``airbundle delete``: remove an image where it lies."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends import frontend
from bundler.cli.options import common
from bundler.cli.output import text
from bundler.cli.runtime import context
from bundler.errors import UnsupportedError

if TYPE_CHECKING:
    from bundler.cli.options.common import AccessOptions, Retry
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Destination, Reference


@common.command("delete", "airbundle delete docker://registry.plant:5000/library/nginx:1.26")
@click.argument("image")
@click.option("--tag-only", is_flag=True, help="Remove the tag, and leave what it stands for.")
@common.access()
@common.retries
@common.as_json
def delete(
    image: str, *, tag_only: bool, access: AccessOptions, retry: Retry, as_json: bool
) -> None:
    """Remove IMAGE for good, and print what it was.

    IMAGE is docker://HOST/NAME:TAG or oci:DIRECTORY:NAME. In a registry every tag of the same
    image goes with it; registries often have to be told to allow that. From a directory goes
    what no other image in it needs.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help

    reference = transports.parse(image)
    with context.running(1) as work:
        opening = work.opening(image, access)

        def act() -> Descriptor:
            with closing(
                transports.transport(reference.transport).destination(reference, opening)
            ) as destination:
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
