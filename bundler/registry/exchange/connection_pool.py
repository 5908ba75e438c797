"""HTTP connection pool, built on requests and urllib3 without their automatic features.

The pool uses no certifi certificates, netrc files, cookies, proxy variables, redirects or retries.
The caller provides the TLS context. All sockets are tracked, so that another thread can shut them
down.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from bundler.content.streams import BUFFER_SIZE
from bundler.errors import LimitError
from bundler.registry.auth.origin import Origin, get_target
from bundler.registry.exchange.response_head import BoundedResponse, HeadTooLargeError
from bundler.registry.exchange.watchdog import TUNNEL_TIMEOUT, Exchange, Phase, shut_down

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from requests import PreparedRequest
    from urllib3 import BaseHTTPResponse, HTTPResponse, ProxyManager

CONNECT_TIMEOUT = 15.0

_POOL_SIZE = 64
# A server that disappears without closing its connections is detected after 90 seconds.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
]

_sending = threading.local()
"""Thread-local state: ``url`` is the URL of the current request."""


class ConnectionPool(HTTPAdapter):
    """Connection pool; thread-safe.

    ``create_context`` is called for the first HTTPS request, because loading the certificate
    authorities of the system is slow. ``check_address`` is called with the IP address of each new
    connection without a proxy, before anything is sent, and raises to refuse it.
    """

    def __init__(
        self,
        create_context: Callable[[], ssl.SSLContext],
        check_address: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._get_context = cache(create_context)
        self._sockets = sockets = weakref.WeakSet[socket.socket]()
        self._current = current = threading.local()
        super().__init__(pool_connections=8, pool_maxsize=_POOL_SIZE)

        def attach(connected: socket.socket) -> Exchange:
            exchange: Exchange = current.exchange
            exchange.attach(connected)
            sockets.add(connected)
            return exchange

        class Http(_Connection):
            _attach = staticmethod(attach)
            _check_address = staticmethod(check_address)

        class Https(_Connection, HTTPSConnection):
            _attach = staticmethod(attach)
            _check_address = staticmethod(check_address)

        class HttpPool(HTTPConnectionPool):
            ConnectionCls = Http

        class HttpsPool(HTTPSConnectionPool):
            ConnectionCls = Https

        self.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    def exchange(
        self, request: PreparedRequest, exchange: Exchange, proxy: str | None
    ) -> BaseHTTPResponse:
        """Send ``request`` and receive the head of the response; ``exchange`` limits the time."""
        _sending.url = request.url
        self._current.exchange, self._current.proxy = exchange, proxy
        try:
            timeout = (CONNECT_TIMEOUT, None)
            return cast("BaseHTTPResponse", self.send(request, stream=True, timeout=timeout))
        finally:
            del self._current.exchange

    def close(self) -> None:
        """Close idle connections, which urllib3 otherwise leaves to the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - the container is not iterable
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
        super().close()

    def abort(self) -> None:
        """Shut down all connections, so that threads blocked on them fail immediately."""
        for _ in range(3):
            # Copy the set, which another thread may change during the iteration.
            with contextlib.suppress(RuntimeError):
                for connected in list(self._sockets):
                    shut_down(connected)
                return

    # The base class parses each URL several times, and collects cookies.

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: object, **__: object
    ) -> HTTPConnectionPool:
        """Return the connections to the server of ``request``, with the TLS context."""
        origin, proxy = Origin.of(str(request.url)), self._current.proxy
        manager = self.poolmanager if proxy is None else self.proxy_manager_for(proxy)
        tls = {"ssl_context": self._get_context()} if origin.scheme == "https" else {}
        return manager.connection_from_host(
            origin.host, origin.port, origin.scheme, {"blocksize": BUFFER_SIZE, **tls}
        )

    def request_url(self, request: PreparedRequest, *_: object) -> str:
        """Return a placeholder of the right form; ``_Connection`` sends the URL itself."""
        origin = Origin.of(str(request.url))
        return "/" if origin.scheme == "https" or self._current.proxy is None else f"{origin}/"

    def build_response(self, _: PreparedRequest, resp: BaseHTTPResponse) -> BaseHTTPResponse:  # type: ignore[override]
        """Return the response of urllib3, which ``Response`` reads."""
        return resp

    def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
        """Do nothing: the TLS context contains the certificates."""

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: object) -> ProxyManager:
        """Return the proxy manager of the base class, with tracked sockets."""
        manager: ProxyManager = super().proxy_manager_for(proxy, **proxy_kwargs)
        manager.pool_classes_by_scheme = self.poolmanager.pool_classes_by_scheme
        return manager


class _Connection(HTTPConnection):
    """Connection that registers its socket, and the phase, with the exchange that uses it.

    It sends the URL of a request without the changes that urllib3 makes to it. Its sockets have no
    timeouts of their own, except for connecting.
    """

    response_class = BoundedResponse
    default_socket_options = HTTPConnection.default_socket_options + _KEEPALIVE
    _attach: Callable[[socket.socket], Exchange]
    _check_address: Callable[[str], None]
    _exchange: Exchange
    _send_error: OSError | None = None

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        if self.proxy is None:
            try:
                self._check_address(str(connected.getpeername()[0]).partition("%")[0])
            except BaseException:
                connected.close()
                raise
        connected.settimeout(None)
        # TLS moves the connection to a new object, but another descriptor of it remains usable.
        self._handle = connected.dup()
        limit = None if self.proxy is None else TUNNEL_TIMEOUT
        self._exchange = self._attach(self._handle)
        self._exchange.reached = True
        self._exchange.enter(Phase.HANDSHAKE, limit)
        return connected

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            handle = self.__dict__.pop("_handle", None)
            if handle is not None:
                handle.close()
        self._attach(self.sock)
        self._exchange.connected = True
        self._exchange.enter(Phase.SENDING)
        # Suppress urllib3's warning: the user has disabled verification.
        self.is_verified = True

    def putrequest(self, method: str, url: str, *args: bool, **options: bool) -> None:
        """Send the request line; the target for a proxy is a complete URL."""
        target = get_target(_sending.url) if url.startswith("/") else _sending.url
        super().putrequest(method, target, *args, **options)

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """Send a request. The response is received even if the server closed the connection."""
        self._send_error = None
        if self.sock is not None:
            self.timeout = None
            self._exchange = self._attach(self.sock)
            self._exchange.reached = self._exchange.connected = True
            self._exchange.enter(Phase.SENDING)
        try:
            super().request(*arguments, **options)
        except OSError as error:
            if error is not self._send_error:
                raise

    def send(self, data: Any) -> None:  # noqa: ANN401
        """Send a part of the request."""
        try:
            super().send(data)
        except OSError as error:
            if self.sock is not None:
                self._send_error = error
            raise

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Receive the head of the response.

        Raises:
            LimitError: it is too large.
        """
        self._exchange.enter(Phase.RESPONSE)
        try:
            response = super().getresponse()
        except HeadTooLargeError as error:
            self.close()
            raise LimitError(f"{Origin.of(_sending.url)}: {error}") from None
        except Exception:
            if self._send_error is not None:
                raise self._send_error from None
            raise
        self._exchange.enter(Phase.BODY)
        self._exchange.pause()
        return response
