"""``airbundle list-tags``: list the tags of a repository."""

from __future__ import annotations

import sys

import click

from bundler.cli.options.command import command
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.runtime.context import CommandContext, pass_context


@command("list-tags", "airbundle list-tags docker://registry.plant:5000/library/nginx")
@click.argument("source")
@registry_access("the registry")
@retry_options
@pass_context
def list_tags(
    context: CommandContext, source: str, *, access: AccessOptions, retry: RetryOptions
) -> None:
    """List the tags of SOURCE, or the names of its images, as a JSON document.

    SOURCE is a repository, docker://HOST/NAME without a tag, or docker-archive:FILE, oci:DIRECTORY
    or oci-archive:FILE.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images import inspect as images  # noqa: PLC0415 - as above

    reference = transports.parse(source)
    with context.run(1) as run:
        options = access.create_open_options(run, source)
        output = retry.call(
            lambda: images.list_tags(reference, options), run.cancellation, run.emit
        )
    sys.stdout.buffer.write(output)
