"""``airbundle experimental-image-proxy``: images for another program, through a socket."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bundler.cli.options.command import command
from bundler.cli.options.group import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.runtime import context
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
def image_proxy(descriptor: int, *, access: AccessOptions) -> None:
    """Serve images to the program that started this one, through an open socket.

    The socket is one half of a pair of the type SOCK_SEQPACKET. Each packet holds one request or
    answer in JSON; manifests and blobs come through pipes. The protocol is that of Skopeo, 0.2.8,
    which bootc and ostree speak. The options hold for every image that is asked for.
    """
    from bundler.images.proxy import server as proxy  # noqa: PLC0415 - not for --help

    with _channel(descriptor) as channel, context.running(1) as work:
        proxy.serve(channel, lambda: _access(work, access), work.cancellation)


def _access(work: context.CommandContext, said: AccessOptions) -> ProxyContext:
    """How images are reached; it is found out when a client begins, so that it hears of errors."""
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.proxy.session import ProxyContext  # noqa: PLC0415 - as above

    def opened(image: str) -> tuple[Reference, Source]:
        reference = transports.parse(image)
        opening = work.opening(image, _concerning(reference.transport, said))
        return reference, transports.open_source(reference, opening)

    context.settings()
    return ProxyContext(opened, context.platform(), work.admit())


def _concerning(transport: str, said: AccessOptions) -> AccessOptions:
    """What was said of such places."""
    if transport == "docker":
        return replace(said, daemon_host=None, shared_blob_dir=None)
    host = said.daemon_host if transport == "docker-daemon" else None
    shared = said.shared_blob_dir if transport == "oci" else None
    return AccessOptions(daemon_host=host, shared_blob_dir=shared)


def _channel(descriptor: int) -> socket.socket:
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
