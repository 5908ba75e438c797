"""HTTP connection pool, built on urllib3 without its redirects and retries.

The caller provides the TLS context. All sockets are tracked, so that another thread can shut them
down.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from urllib3 import PoolManager, ProxyManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import make_headers

from bundler.content.streams import BUFFER_SIZE
from bundler.errors import LimitError
from bundler.registry.auth.origin import Origin, get_target
from bundler.registry.response_head import BoundedResponse, HeadTooLargeError
from bundler.registry.watchdog import TUNNEL_TIMEOUT, Exchange, Phase, shut_down

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    from urllib3 import BaseHTTPResponse, HTTPResponse

CONNECT_TIMEOUT = 15.0

_TIMEOUT = Timeout(connect=CONNECT_TIMEOUT, read=None)
_HOSTS = 8
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


class ConnectionPool:
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
        self._managers: dict[str | None, PoolManager] = {}
        """The connections by proxy; None: direct connections."""
        self._lock = threading.Lock()

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

        self._pool_classes = {"http": HttpPool, "https": HttpsPool}

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Iterable[memoryview] | None,
        *,
        exchange: Exchange,
        proxy: str | None,
    ) -> BaseHTTPResponse:
        """Send a request and receive the head of the response; ``exchange`` limits the time.

        A body is sent in chunked encoding unless ``headers`` contain Content-Length.
        """
        origin = Origin.of(url)
        forwarded = proxy is not None and origin.scheme == "http"
        tls = {"ssl_context": self._get_context()} if origin.scheme == "https" else {}
        pool = self._find_manager(proxy).connection_from_host(
            origin.host, origin.port, origin.scheme, tls
        )
        _sending.url = url
        self._current.exchange = exchange
        try:
            return pool.urlopen(
                method,
                f"{origin}/" if forwarded else "/",  # _Connection sends ``url`` instead
                body,  # type: ignore[arg-type]  # the stub lacks iterables of memoryview
                headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=_TIMEOUT,
                chunked=body is not None and "Content-Length" not in headers,
                preload_content=False,
                decode_content=False,
            )
        finally:
            del self._current.exchange

    def close(self) -> None:
        """Close idle connections, which urllib3 otherwise leaves to the garbage collector."""
        with self._lock:
            managers = list(self._managers.values())
        for manager in managers:
            for key in manager.pools.keys():  # noqa: SIM118 - the container is not iterable
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.close()
            manager.clear()

    def abort(self) -> None:
        """Shut down all connections, so that threads blocked on them fail immediately."""
        for _ in range(3):
            # Copy the set, which another thread may change during the iteration.
            with contextlib.suppress(RuntimeError):
                for connected in list(self._sockets):
                    shut_down(connected)
                return

    def _find_manager(self, proxy: str | None) -> PoolManager:
        """Return the connections through ``proxy``, a URL that may contain credentials."""
        with self._lock:
            if proxy not in self._managers:
                options: dict[str, Any] = {
                    "num_pools": _HOSTS,
                    "maxsize": _POOL_SIZE,
                    "blocksize": BUFFER_SIZE,
                }
                if proxy is None:
                    manager = PoolManager(**options)
                else:
                    parts = urlsplit(proxy)
                    login = None
                    if parts.username:
                        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                    manager = ProxyManager(
                        proxy, proxy_headers=make_headers(proxy_basic_auth=login), **options
                    )
                manager.pool_classes_by_scheme = self._pool_classes
                self._managers[proxy] = manager
            return self._managers[proxy]


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
