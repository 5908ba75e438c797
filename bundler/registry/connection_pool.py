"""Connections of requests and urllib3, with nothing that they would do on their own.

No certifi, no netrc, no cookies, no proxies from the environment, no redirects, no retries. The
TLS context is the caller's. Sockets are known, so that they can be cut.
"""

from __future__ import annotations

import contextlib
import socket
import weakref
from functools import cached_property
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bundler.content.streams.reader import BUFFER_SIZE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from requests import PreparedRequest
    from urllib3 import ProxyManager

_POOL_SIZE = 64


class ConnectionPool(HTTPAdapter):
    """A pool of connections; for any number of threads.

    Args:
        context: makes the TLS context, at the first use of HTTPS: reading all of the system's
            authorities takes its time.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext]) -> None:
        self._make_context = context
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        super().__init__(pool_connections=8, pool_maxsize=_POOL_SIZE)
        pools = _tracking_pools(self._sockets)
        self.poolmanager.pool_classes_by_scheme = pools

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._make_context()

    def abort(self) -> None:
        """Cut every connection: whoever waits for one fails at once."""
        for _ in range(3):
            # The set may change meanwhile: a connection of another thread was made or freed.
            with contextlib.suppress(RuntimeError):
                for one in list(self._sockets):
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(one, socket.SHUT_RDWR)
                return

    def build_connection_pool_key_attributes(  # type: ignore[override]  # its types are private
        self, request: PreparedRequest, verify: bool, cert: None = None
    ) -> tuple[object, dict[str, Any]]:
        """Let all connections use our context, and send in large pieces."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        tls = {"ssl_context": self._context} if host["scheme"] == "https" else {}
        return host, {"blocksize": BUFFER_SIZE, **tls}

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Leave certificates to the context."""

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: object) -> ProxyManager:
        """As the base, with known sockets."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self.poolmanager.pool_classes_by_scheme
        return manager


def _tracking_pools(
    sockets: weakref.WeakSet[socket.socket],
) -> dict[str, type[HTTPConnectionPool]]:
    class Http(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Https(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)
            # urllib3 warns of what is not verified; here the user was asked.
            self.is_verified = True

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    return {"http": HttpPool, "https": HttpsPool}
