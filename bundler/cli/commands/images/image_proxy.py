"""``airbundle experimental-image-proxy``: serve images to the calling program."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import click

from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.runtime.context import AccessSettings, CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.images.proxy.session import ProxyContext
    from bundler.ports import Reference, Source


@command("experimental-image-proxy", hidden=True)
@option(
    "--sockfd",
    "descriptor",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="File descriptor of the open socket (default: 0).",
)
@access("the registry")
@pass_context
def image_proxy(context: CommandContext, *, descriptor: int, access: AccessOptions) -> None:
    """Serve images to the calling program through an open socket.

    The socket is one end of a socket pair of the type SOCK_SEQPACKET. Each packet contains one
    request or response in JSON; manifests and blobs are sent through pipes. The protocol is version
    0.2.8 of Skopeo's protocol, which bootc and ostree use. The options apply to every requested
    image.
    """
    serve_images(context, descriptor, access.create_settings())


def serve_images(context: CommandContext, descriptor: int, access: AccessSettings) -> None:
    """Serve images through the socket ``descriptor`` until the other end closes.

    Raises:
        UsageError: if it is not a Unix socket of the type SOCK_SEQPACKET.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.proxy.session import ProxyContext, serve  # noqa: PLC0415 - as above

    try:
        channel = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        raise UsageError(
            f"--sockfd {descriptor}: not an open socket",
            hint="the calling program must pass one end of a socket pair",
        ) from None
    with channel:
        if (channel.family, channel.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
            raise UsageError(
                f"--sockfd {descriptor}: unsupported socket"
                " (expected a Unix socket, SOCK_SEQPACKET)"
            )
        with context.run(1) as run:

            def open_source(image: str) -> tuple[Reference, Source]:
                reference = transports.parse(image)
                options = run.create_open_options_for(image, access)
                return reference, transports.open_source(reference, options)

            def begin() -> ProxyContext:
                """Create the context when the client initializes, so that it receives errors."""
                platform, check = context.detect_platform(), run.create_policy_check()
                return ProxyContext(open_source, platform, check)

            serve(channel, begin, run.cancellation)
