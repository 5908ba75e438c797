"""``airbundle delete``: remove an image where it lies."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends import frontend
from bundler.cli.options import common
from bundler.cli.output import text
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from bundler.cli.options.common import AccessOptions, Retry
    from bundler.oci.descriptor import Descriptor


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
    from bundler.images import delete as deletion  # noqa: PLC0415 - as above

    reference = transports.parse(image)
    remove = deletion.untag if tag_only else deletion.delete
    with context.running(1) as work:
        opening = work.opening(image, access)

        def act() -> Descriptor:
            with closing(
                transports.transport(reference.transport).destination(reference, opening)
            ) as place:
                return remove(place, reference)

        gone = work.retrying(retry, act)
    if as_json:
        text.document(
            {"reference": str(reference), "digest": str(gone.digest), "tagOnly": tag_only}
        )
    elif frontend.current().tells_outcomes:
        text.line(f"{reference} {gone.digest}")
