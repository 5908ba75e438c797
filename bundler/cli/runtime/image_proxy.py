"""Serve images to the program that started this one, through a socket that it left open."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.cli.runtime.access import AccessSettings
    from bundler.cli.runtime.context import CommandContext
    from bundler.images.proxy.session import ProxyContext
    from bundler.ports import Reference, Source


def serve_images(context: CommandContext, descriptor: int, access: AccessSettings) -> None:
    """Serve images through the socket with the number ``descriptor`` until its other end closes.

    Raises:
        UsageError: ``descriptor`` is not a Unix socket of the type SOCK_SEQPACKET.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.proxy import server  # noqa: PLC0415 - as above
    from bundler.images.proxy.session import ProxyContext  # noqa: PLC0415 - as above

    with _open_socket(descriptor) as channel, context.run(1) as run:

        def open_source(image: str) -> tuple[Reference, Source]:
            reference = transports.parse(image)
            options = run.open_options_for(image, access)
            return reference, transports.open_source(reference, options)

        def begin() -> ProxyContext:
            """Called when the client begins, so that it is sent the errors."""
            return ProxyContext(open_source, context.platform(), context.policy_check())

        server.serve(channel, begin, run.cancellation)


def _open_socket(descriptor: int) -> socket.socket:
    try:
        channel = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        raise UsageError(
            f"--sockfd {descriptor} is no open socket",
            hint="another program starts this one, with one half of a pair of sockets",
        ) from None
    if (channel.family, channel.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        channel.close()
        raise UsageError(f"--sockfd {descriptor} is not a Unix socket of the type SOCK_SEQPACKET")
    return channel
