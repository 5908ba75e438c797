"""``airbundle list-tags``: list the tags of a repository."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from bundler.cli.options.command import command
from bundler.cli.options.registry_access import registry_access
from bundler.cli.options.retry import retry_options
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry


@command("list-tags", "airbundle list-tags docker://registry.plant:5000/library/nginx")
@click.argument("source")
@registry_access("the registry")
@retry_options
def list_tags(source: str, *, access: AccessOptions, retry: Retry) -> None:
    """List the tags of SOURCE, or the names of its images, as a JSON document.

    SOURCE is a repository, docker://HOST/NAME without a tag, or docker-archive:FILE, oci:DIRECTORY
    or oci-archive:FILE.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images import list_tags as listing  # noqa: PLC0415 - as above
    from bundler.images.format_output import format_struct  # noqa: PLC0415 - as above

    reference = transports.parse(source)
    with context.running(1) as work:
        opening = work.opening(source, access)

        def read() -> bytes:
            with closing(transports.open_source(reference, opening)) as opened:
                return format_struct(listing.list_tags(opened, reference))

        output = work.retrying(retry, read)
    sys.stdout.buffer.write(output)
