"""The server: sockets, TLS, threads, deadlines, and a limited number of connections.

Each connection has a thread, and its requests are answered by ``answers``. Blobs are sent by the
kernel from the file of the bundle to the socket, without a copy in the program.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

from bundler.bundle.serving.connection import Connection
from bundler.errors import BundlerError, UsageError
from bundler.events import Emit, WarningIssued

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from bundler.bundle.serving.content import ServedContent
    from bundler.bundle.serving.password_file import PasswordFile
    from bundler.cancel import Cancellation

_POLL_INTERVAL = 0.1  # seconds between checks of the cancellation
_ROOM_TIMEOUT = 0.1  # seconds until a connection that is closed has ended


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for clients. Times are in seconds."""

    connections: int = 256
    """For a further one, the connection that waits longest for its client is closed."""
    head_bytes: int = 32 * 1024
    """The maximum size of the head of a request."""
    head_seconds: float = 30.0
    """The time for a TLS handshake, and for a head, including the wait for its first byte."""
    stall_seconds: float = 60.0
    """The time for a client to receive the next MiB of a response."""


class RegistryServer(ThreadingHTTPServer):
    """Server of a read-only registry.

    Raises:
        UsageError: the address is not available.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        address: str,
        port: int,
        content: ServedContent,
        *,
        cancellation: Cancellation,
        emit: Emit,
        users: PasswordFile | None = None,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.content = content
        self.users = users
        self.limits = limits or Limits()
        self._tls = tls
        self._cancellation = cancellation
        self._emit = emit
        self._waiting: dict[socket.socket, None] = {}
        """The connections that wait for a client, the one that waits longest first."""
        self._free = threading.BoundedSemaphore(self.limits.connections)
        self._reported: set[str] = set()
        if ip_address(address).version == 6:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((address, port), Connection)
        except OSError as error:
            raise UsageError(
                f"{address}, port {port}: cannot listen: {error.strerror}",
                hint="choose another port with --port; 0 is any free port",
            ) from error

    @property
    def authority(self) -> str:
        """``host:port`` as references contain it."""
        host, port = self.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    @property
    def url(self) -> str:
        """The URL of the page that lists the images."""
        return f"{'https' if self.is_encrypted else 'http'}://{self.authority}/"

    @property
    def is_encrypted(self) -> bool:
        """Whether connections use TLS."""
        return self._tls is not None

    def run(self) -> None:
        """Answer requests until cancellation is requested.

        Raises:
            CancelledError: it was requested.
        """
        self.serve_forever(_POLL_INTERVAL)

    def server_bind(self) -> None:
        """Bind the socket, without the lookup of the host's name that HTTPServer does."""
        TCPServer.server_bind(self)

    def service_actions(self) -> None:
        """End the loop if cancellation is requested."""
        self._cancellation.check()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's
        """Answer a connection in a new thread.

        If there are too many, the one that waits longest for its client is closed; if all of them
        are answering requests, the new one.
        """
        if not self._free.acquire(blocking=False):
            for waiting in list(self._waiting)[:1]:
                with suppress(OSError):
                    socket.socket.shutdown(waiting, socket.SHUT_RDWR)
            if not self._free.acquire(timeout=_ROOM_TIMEOUT):
                self.shutdown_request(request)
                return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Answer the requests of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as above
        """Answer the requests of a connection, after the TLS handshake."""
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(self.limits.head_seconds)
        with self._tls.wrap_socket(
            request, server_side=True, do_handshake_on_connect=False
        ) as encrypted:
            with self.waiting(encrypted):
                encrypted.do_handshake()
            super().finish_request(encrypted, client_address)

    @contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """Let ``connection`` be closed in favour of another one during the block."""
        self._waiting[connection] = None
        try:
            yield
        finally:
            del self._waiting[connection]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - as above
        """Report the error of a connection, once; a client that disconnects is not an error."""
        error = sys.exception()
        if error is None or isinstance(error, OSError):
            return
        self.report(error)

    def report(self, error: BaseException) -> None:
        """Emit a warning about a request that failed; the same one only once."""
        text = "; ".join(str(error).splitlines())
        if not isinstance(error, BundlerError):
            text = f"{type(error).__name__}: {text}"
        if text not in self._reported and len(self._reported) < 1000:
            self._reported.add(text)
            self._emit(WarningIssued(f"a request failed: {text}"))
