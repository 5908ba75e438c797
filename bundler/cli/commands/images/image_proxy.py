"""``airbundle experimental-image-proxy``: images for another program, through a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options.command import command
from bundler.cli.options.group import option
from bundler.cli.options.registry_access import access
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from bundler.cli.options.registry_access import AccessOptions


@command("experimental-image-proxy", hidden=True)
@option(
    "--sockfd",
    "descriptor",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="The number of the open socket: 0 if not said.",
)
@access("the registry")
@pass_context
def image_proxy(context: CommandContext, *, descriptor: int, access: AccessOptions) -> None:
    """Serve images to the program that started this one, through an open socket.

    The socket is one half of a pair of the type SOCK_SEQPACKET. Each packet holds one request or
    answer in JSON; manifests and blobs come through pipes. The protocol is that of Skopeo, 0.2.8,
    which bootc and ostree speak. The options hold for every image that is asked for.
    """
    from bundler.cli.runtime.image_proxy import serve_images  # noqa: PLC0415 - not for --help

    serve_images(context, descriptor, access.settings())
