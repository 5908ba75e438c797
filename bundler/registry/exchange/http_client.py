"""HTTP client of one registry: single exchanges, with deadlines, proxies and typed errors.

It also records which hosts are available, which determines how long a request is retried.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import requests

from bundler import __version__
from bundler.errors import BundlerError, RateLimitedError, RegistryError
from bundler.registry import errors, refusals
from bundler.registry.auth.origin import Origin
from bundler.registry.availability import HOSTS
from bundler.registry.exchange.connection_pool import ConnectionPool
from bundler.registry.exchange.request import RequestSpec
from bundler.registry.exchange.response import NETWORK_ERRORS, Response
from bundler.registry.exchange.watchdog import Exchange, ExchangeLimits
from bundler.registry.tls import certificates
from bundler.registry.tls.contexts import (
    create_redirect_context,
    create_registry_context,
    create_unverified_context,
)
from bundler.retry_policy import (
    DEFAULT_PATIENCE,
    DEFAULT_RATE_LIMIT_PATIENCE,
    Attempts,
    Backoff,
    LimitedTime,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.cancel import Cancellation
    from bundler.config.registry_access import RegistryAccess
    from bundler.events import Emit
    from bundler.registry.tls.handshake_errors import ServerRole
    from bundler.silence import Silence

RETRY_POLICY = LimitedTime(
    backoff=Backoff(first=0.5, longest=5.0),
    rate_limit_backoff=Backoff(first=1.0, longest=30.0),
)
"""Policy for retries before the response headers; the caller retries an interrupted body."""

T = TypeVar("T")

USER_AGENT = f"airbundle/{__version__}"

_SIGNATURE_API = "X-Registry-Supports-Signatures"
"""The header of a registry with the signature API, at least in the response to ``/v2/``."""

# Seconds within which a scheme is recognized; a server without TLS may ignore a TLS handshake.
_PROBE_HANDSHAKE_TIMEOUT = 4.0
_PROBE_RESPONSE_TIMEOUT = 5.0


class HttpClient:
    """HTTP client of one registry and of the hosts that it names; thread-safe.

    ``check_address`` is called with the IP address of each new connection to another host, as by
    ``ConnectionPool``. ``own_role`` and ``other_role`` determine the hints of errors: the role of
    the server of ``access``, and of other hosts.
    """

    def __init__(
        self,
        access: RegistryAccess,
        cancellation: Cancellation,
        check_address: Callable[[str], None] = lambda _: None,
        *,
        own_role: ServerRole = "registry",
        other_role: ServerRole = "named",
    ) -> None:
        self._access = access
        self._own_role = own_role
        self._other_role = other_role
        self._cancellation = cancellation
        self._limits = ExchangeLimits.create(access.limits)
        patience = access.limits.patience
        self._patience = DEFAULT_PATIENCE if patience is None else patience
        self._own = ConnectionPool(lambda: create_registry_context(access.tls))
        self._others = ConnectionPool(lambda: create_redirect_context(access.tls), check_address)
        self._unverified = ConnectionPool(lambda: create_unverified_context(access.tls.details))
        self.has_signature_api: bool | None = None
        """Whether the registry has the signature API; None until a response states it."""

    def send(
        self,
        spec: RequestSpec,
        url: str,
        headers: Mapping[str, str],
        *,
        own: bool,
        verify: bool = True,
        exchange: Exchange | None = None,
    ) -> Response:
        """Send a request, with ``headers`` in addition to its own, and return any response.

        ``own`` is whether ``url`` belongs to the registry, rather than to a host that it named. The
        certificate of another host is not verified without ``verify``.

        Raises:
            RegistryError: no complete response head was received.
            CancelledError: the run was cancelled.
        """
        self._cancellation.check()
        if exchange is None:
            exchange = Exchange(self._limits, spec.silence)
        if spec.response_timeout is not None:
            exchange.limits = replace(exchange.limits, response=spec.response_timeout)
        proxy = self._access.proxy if own else self.find_proxy(url)
        role = self._own_role if own else self._other_role
        create_error = partial(
            self._create_error, url=url, exchange=exchange, proxy=proxy, role=role
        )
        others = self._others if verify else self._unverified
        try:
            sent = (self._own if own else others).exchange(
                self._prepare(spec, url, headers, exchange),
                exchange,
                proxy,
            )
        except BundlerError:
            exchange.finish()
            raise
        except NETWORK_ERRORS as error:
            exchange.finish()
            self._cancellation.check()
            raise create_error(error) from error
        if sent.status not in refusals.UNAVAILABLE:
            HOSTS.record_response(Origin.of(url), exchange.begun)
        if own and not self.has_signature_api:
            if sent.headers.get(_SIGNATURE_API) == "1":
                self.has_signature_api = True
            elif url.endswith("/v2/"):
                self.has_signature_api = False
        return Response(
            sent, url, exchange, own=own, cancellation=self._cancellation, create_error=create_error
        )

    def detect_scheme(self) -> str:
        """Return ``https`` if the registry supports it, even with an invalid certificate.

        Raises:
            RegistryError: the registry can be reached by neither HTTPS nor HTTP.
        """
        access = self._access
        spec = RequestSpec("GET", access.host, response_timeout=_PROBE_RESPONSE_TIMEOUT)
        limits = replace(self._limits, handshake=_PROBE_HANDSHAKE_TIMEOUT)
        exchange, url = Exchange(limits), f"https://{access.address}/v2/"
        try:
            self.send(spec, url, {}, own=True, exchange=exchange).close()
        except RegistryError as error:
            if exchange.connected:
                return "https"
            plain = Origin.of(f"http://{access.address}/")
            if errors.is_plain_http(error) and plain.port == Origin.of(url).port:
                HOSTS.record_response(plain, exchange.begun)  # the server exists
                return plain.scheme
            with suppress(RegistryError):
                url = f"{plain}/v2/"
                with self.send(spec, url, {}, own=True) as response:
                    # Servers that require TLS answer a request without it by 400.
                    if response.status != HTTPStatus.BAD_REQUEST:
                        return "http"
            raise error from None
        return "https"

    def retry(self, spec: RequestSpec, emit: Emit, operation: Callable[[], T]) -> T:
        """Call ``operation``, which sends ``spec``, until it succeeds; return its result.

        Raises:
            RegistryError: the last failure, if the operation must not be retried.
            CancelledError: the run was cancelled.
        """
        attempts = Attempts(RETRY_POLICY, spec.subject, self._cancellation, emit)
        for _ in attempts:
            try:
                return operation()
            except RegistryError as error:
                self.schedule_retry(attempts, error, spec.silence)
        raise AssertionError("unreachable: attempts are unlimited")

    def schedule_retry(self, attempts: Attempts, error: RegistryError, silence: Silence) -> float:
        """Schedule a retry of the operation with ``silence``; return the wait in seconds.

        Raises:
            RegistryError: ``error`` itself, if the operation must not be retried.
        """
        self.set_patience(error)
        wait = attempts.fail(error)
        silence.waited += wait
        return wait

    def set_patience(self, error: RegistryError) -> None:
        """Set how long a request that failed with ``error`` is retried, if it is unset."""
        if error.patience is not None:
            return
        error.patience = self._patience
        if isinstance(error, RateLimitedError):
            limits = self._access.limits
            if limits.rate_limit_patience is not None:
                error.patience = limits.rate_limit_patience
            elif limits.patience is None and error.retry_after:
                error.patience = DEFAULT_RATE_LIMIT_PATIENCE
        if error.status in refusals.UNAVAILABLE and error.exchange is not None:
            origin = Origin.of(error.exchange.url)
            # A proxy answers for a host that does not exist.
            connected = self._access.proxy is None
            now = time.monotonic()
            HOSTS.record_failure(origin, error, self._patience, begun=now, connected=connected)

    def find_proxy(self, url: str) -> str | None:
        """Return the URL of the proxy for a host that the registry named; None: no proxy."""
        proxies = self._access.proxies
        scheme, _, address = str(Origin.of(url)).partition("://")
        if proxies is None:
            return None
        return proxies.find_proxy("http" if scheme == "http" else "https", address)

    def abort(self) -> None:
        """Shut down all connections, so that threads blocked on them fail immediately."""
        for pool in (self._own, self._others, self._unverified):
            pool.abort()

    def close(self) -> None:
        """Close idle connections; the client remains usable."""
        for pool in (self._own, self._others, self._unverified):
            pool.close()

    def _prepare(
        self, spec: RequestSpec, url: str, more: Mapping[str, str], exchange: Exchange
    ) -> requests.PreparedRequest:
        headers = {
            "User-Agent": self._access.user_agent or USER_AGENT,
            "Accept-Encoding": "identity",
            **spec.headers,
            **more,
        }
        prepared = requests.PreparedRequest()
        prepared.prepare_method(spec.method)
        prepared.prepare_headers(headers)
        prepared.url = url  # unchanged: prepare_url would normalize it
        if spec.body is not None:
            chunks = exchange.watch_sending(spec.body.chunks())
            prepared.body = chunks  # type: ignore[assignment]  # accepts any iterable
            if spec.body.size is not None:
                prepared.headers["Content-Length"] = str(spec.body.size)
        return prepared

    def _create_error(
        self,
        error: Exception,
        *,
        url: str,
        exchange: Exchange,
        proxy: str | None,
        role: ServerRole,
    ) -> RegistryError:
        """Create the error for a failed exchange, which states how long the request is retried."""
        if exchange.expired is not None:
            found: RegistryError = errors.create_stall_error(*exchange.expired, url, role)
        else:
            address = str(Origin.of(url)).partition("://")[2]
            create_context = partial(create_unverified_context, self._access.tls.details)
            found = errors.create_network_error(
                error,
                url,
                role=role,
                proxied=proxy is not None,
                anchors=certificates.list_anchors(self._access, address, role),
                fetch_certificate=lambda origin: certificates.fetch_certificate(
                    origin.host, origin.port, create_context, proxy=proxy
                ),
            )
        # A handshake that was cut off proves that a server exists; an unanswered one does not.
        cut_off = exchange.reached and exchange.expired is None and proxy is None
        connected = exchange.connected or cut_off
        HOSTS.record_failure(
            Origin.of(url), found, self._patience, begun=exchange.begun, connected=connected
        )
        if exchange.has_ended_operation:
            # A request that exceeded this limit is not retried.
            found.patience, found.outage = 0.0, None
        return found
