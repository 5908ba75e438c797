"""HTTP connection pool, built on requests and urllib3 without their automatic features.

The pool uses no certifi certificates, netrc files, cookies, proxy variables, redirects or retries.
The caller provides the TLS context. All sockets are tracked, so that another thread can shut them
down.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bundler.content.streams import BUFFER_SIZE
from bundler.registry.auth.origin import get_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest, Response
    from urllib3 import ProxyManager

_POOL_SIZE = 64

_sending = threading.local()
"""Thread-local state: ``url`` is the URL of the current request."""


class _LiteralConnection(HTTPConnection):
    """Connection that sends request URLs without urllib3's normalization."""

    def putrequest(self, method: str, url: str, *args: bool, **options: bool) -> None:
        """Send the request line; for a proxy, the request target is an absolute URL."""
        target = get_target(_sending.url) if url.startswith("/") else _sending.url
        super().putrequest(method, target, *args, **options)


class ConnectionPool(HTTPAdapter):
    """Connection pool; thread-safe.

    ``create_context`` is called for the first HTTPS request, because loading the certificate
    authorities of the system is slow.
    """

    def __init__(self, create_context: Callable[[], ssl.SSLContext]) -> None:
        self._get_context = cache(create_context)
        self._sockets = sockets = weakref.WeakSet[socket.socket]()
        super().__init__(pool_connections=8, pool_maxsize=_POOL_SIZE)

        class Http(_LiteralConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)

        class Https(_LiteralConnection, HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.add(self.sock)
                # Suppress urllib3's warning: the user has disabled verification.
                self.is_verified = True

            def send(self, data: Any) -> None:  # noqa: ANN401 - as in the base class
                try:
                    super().send(data)
                except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                    # urllib3 then reads the response of a server that closed the connection.
                    raise BrokenPipeError(errno.EPIPE, str(error)) from error

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        self.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:  # noqa: ANN401 - as the base class
        """Send a request without normalizing its URL, which a signature may cover."""
        _sending.url = request.url
        return super().send(request, *args, **options)

    def abort(self) -> None:
        """Shut down all connections, so that threads blocked on them fail immediately."""
        for _ in range(3):
            # Copy the set, which another thread may change during the iteration.
            with contextlib.suppress(RuntimeError):
                for connected in list(self._sockets):
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(connected, socket.SHUT_RDWR)
                return

    def build_connection_pool_key_attributes(  # type: ignore[override]  # its types are private
        self, request: PreparedRequest, verify: bool, cert: None = None
    ) -> tuple[object, dict[str, Any]]:
        """Add the TLS context and a large block size to the attributes of the base class."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        tls = {"ssl_context": self._get_context()} if host["scheme"] == "https" else {}
        return host, {"blocksize": BUFFER_SIZE, **tls}

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Do nothing: the TLS context contains the certificates."""

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: object) -> ProxyManager:
        """Return the proxy manager of the base class, with tracked sockets."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self.poolmanager.pool_classes_by_scheme
        return manager
