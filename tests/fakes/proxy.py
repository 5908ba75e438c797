"""An HTTP proxy that opens tunnels (CONNECT) and requires a password."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.fakes.server import FakeServer


class FakeProxy(FakeServer):
    """A proxy on loopback; ``authorized`` counts the tunnels that it opened.

    With ``denies``, its rules allow no tunnel.
    """

    def __init__(self, username: str, password: str, *, denies: bool = False) -> None:
        token = base64.b64encode(f"{username}:{password}".encode()).decode()
        self.authorized = 0
        self.denies = denies
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(f"Basic {token}"))
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self._server.server_port}"

    def _handler(proxy, expected: str) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                if self.headers.get("Proxy-Authorization") != expected:
                    self.send_error(407)
                    return
                host, port = self.path.rsplit(":", 1)
                if proxy.denies:
                    self.send_error(403)
                    return
                try:
                    server = socket.create_connection((host, int(port)), timeout=10)
                except OSError:
                    self.send_error(503)
                    return
                with server:
                    proxy.authorized += 1
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_pump, args=(server, self.connection))
                    back.start()
                    _pump(self.connection, server)
                    back.join()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _pump(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    with contextlib.suppress(OSError):
        destination.shutdown(socket.SHUT_WR)
