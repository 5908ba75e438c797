"""Serve images to another program: small values in JSON packets, large ones through pipes.

There is one client, whose requests are handled one at a time. Blobs are streamed in the background.
``bootc`` and ``ostree`` are clients of this protocol.

https://github.com/containers/skopeo/blob/main/docs-experimental/skopeo-experimental-image-proxy.1.md
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.errors import CancelledError
from bundler.images.proxy import protocol
from bundler.images.proxy.pipes import Pipes
from bundler.images.proxy.session import ProxySession

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.images.proxy.session import ProxyContext

_POLL_INTERVAL = 200  # milliseconds between checks of the cancellation


def serve(
    channel: socket.socket, begin: Callable[[], ProxyContext], cancellation: Cancellation
) -> None:
    """Handle requests until the client disconnects or sends ``Shutdown``.

    Args:
        channel: a socket of type ``SOCK_SEQPACKET``, connected to the client; the caller closes it.
        begin: creates the context when the client sends ``Initialize``; errors are sent to it.
        cancellation: ends the server.

    Raises:
        CancelledError: the server was cancelled.
    """

    def check() -> None:
        cancellation.check()
        disconnected = select.poll()
        disconnected.register(channel, 0)
        if disconnected.poll(0):
            raise ConnectionResetError("the client has disconnected")

    session = ProxySession(begin, Pipes(cancellation, check))
    ready = select.poll()
    ready.register(channel, select.POLLIN)
    try:
        with suppress(ConnectionError):  # the client has disconnected
            while True:
                while not ready.poll(_POLL_INTERVAL):
                    cancellation.check()
                if not _handle_request(channel, session):
                    return
    finally:
        session.close()


def _handle_request(channel: socket.socket, session: ProxySession) -> bool:
    """Receive and handle a request; return False at the end of the session."""
    try:
        request = protocol.receive_request(channel)
        if request is None or request.method == "Shutdown":
            return False
        protocol.send_reply(channel, session.handle(request))
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - any error is sent to the client
        protocol.send_error(channel, error)
    return True
