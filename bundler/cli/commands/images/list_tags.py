"""``airbundle list-tags``: all names in one place."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from bundler.cli.options.common import AccessOptions, Retry


@common.command("list-tags", "airbundle list-tags docker://registry.plant:5000/library/nginx")
@click.argument("place")
@common.access(local=False)
@common.retries
def list_tags(place: str, *, access: AccessOptions, retry: Retry) -> None:
    """List the tags of PLACE, or the names of the images in it, as a JSON document.

    PLACE is a repository, docker://HOST/NAME without a tag, or docker-archive:FILE, oci:DIRECTORY
    or oci-archive:FILE.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images import list_tags as listing  # noqa: PLC0415 - as above
    from bundler.images.format_output import format_struct  # noqa: PLC0415 - as above

    reference = transports.parse(place)
    with context.running(1) as work:
        opening = work.opening(place, access)

        def read() -> bytes:
            with closing(
                transports.transport(reference.transport).source(reference, opening)
            ) as source:
                return format_struct(listing.list_tags(source, reference))

        output = work.retrying(retry, read)
    sys.stdout.buffer.write(output)
