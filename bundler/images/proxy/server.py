"""Serve images to another program: small things in packets of JSON, large ones through pipes.

One client, one request at a time; what it asked for streams while it asks for more. ``bootc`` and
``ostree`` fetch their images in this way.

https://github.com/containers/skopeo/blob/main/docs-experimental/skopeo-experimental-image-proxy.1.md
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.errors import CancelledError
from bundler.images.proxy import protocol as messages
from bundler.images.proxy.pipes import Pipes
from bundler.images.proxy.session import ProxySession

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.images.proxy.session import ProxyContext

_LOOK = 200  # milliseconds between looks at whether the work has to stop


def serve(
    channel: socket.socket, begin: Callable[[], ProxyContext], cancellation: Cancellation
) -> None:
    """Answer requests until the client goes or ends it.

    Args:
        channel: a socket of type ``SOCK_SEQPACKET``, connected to the client; its owner closes it.
        begin: called once, when the client begins; what it raises is told to the client.
        cancellation: stops it.

    Raises:
        CancelledError: it was stopped.
    """
    client = ProxySession(begin, Pipes(cancellation, lambda: _check(channel, cancellation)))
    try:
        with suppress(ConnectionError):  # the client has gone: nobody wants an answer
            while _wait(channel, cancellation) and _serve_one(channel, client):
                pass
    finally:
        client.close()


def _wait(channel: socket.socket, cancellation: Cancellation) -> bool:
    """Wait for a request, or for the client's end; True."""
    ready = select.poll()
    ready.register(channel, select.POLLIN)
    while not ready.poll(_LOOK):
        cancellation.check()
    return True


def _serve_one(channel: socket.socket, client: ProxySession) -> bool:
    """Answer one request; whether there may be another."""
    try:
        request = messages.receive_request(channel)
        if request is None or request.method == "Shutdown":
            return False
        messages.send_reply(channel, client.handle(request))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - the client is told, whatever it is
        messages.send_error(channel, error)
    return True


def _check(channel: socket.socket, cancellation: Cancellation) -> None:
    """Raise if nobody waits any more for what we wait for."""
    cancellation.check()
    hung_up = select.poll()
    hung_up.register(channel, 0)
    if hung_up.poll(0):
        raise ConnectionResetError("the client has gone")
