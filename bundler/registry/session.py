"""One registry, as all its repositories and all threads of a run see it.

A session starts requests: it proves who asks, follows redirects, waits its turn, and repeats what
failed for now. It never goes on with a body that broke off.

Rules kept here: credentials go to the registry's own origin only; redirects are followed by hand,
never from HTTPS to HTTP; TLS verification is off for the named registry only, never for a place
that it names.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import requests

from bundler import __version__
from bundler.cancel import Cancellation
from bundler.errors import (
    BundlerError,
    ConfigError,
    HttpExchange,
    RateLimitedError,
    RegistryError,
    UnauthorizedError,
)
from bundler.events import Emit, discard
from bundler.registry import certificates, errors
from bundler.registry.connection_pool import ConnectionPool
from bundler.registry.origin import Origin, check_hop, redact, resolve_location
from bundler.registry.rate_limit import ConnectionLimiter, RateLimiter
from bundler.registry.response import NETWORK_ERRORS, Response
from bundler.registry.tls_restrictions import unverified_context, verifying_context
from bundler.registry.token_auth import Authenticator, Scopes
from bundler.retry_policy import Attempts, Backoff, RetryPolicy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    from bundler.config.registry_access import RegistryAccess, TlsConfig
    from bundler.errors import CertificateSummary

USER_AGENT = f"airbundle/{__version__}"

CONNECT_TIMEOUT = 15.0
READ_TIMEOUT = 60.0
COMMIT_TIMEOUT = 600.0
"""For answers that a registry gives only after it has moved or hashed what it was sent."""

RETRY_POLICY = RetryPolicy(
    attempts=5,
    attempts_on_500=3,
    backoff=Backoff(first=0.5, longest=30.0),
    budget=240.0,
)
"""Only the start of a request is repeated. A body that breaks off is up to the caller."""

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})


class Body(Protocol):
    """What a request sends."""

    @property
    def size(self) -> int | None:
        """In bytes; None: not known before its end."""
        ...

    @property
    def spent(self) -> bool:
        """Whether it cannot be sent once more."""
        ...

    def chunks(self) -> Iterable[memoryview]:
        """Its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class _RequestSpec:
    """One request as its caller wants it."""

    method: str
    what: str
    scopes: Scopes
    headers: Mapping[str, str]
    body: Body | None
    allow: Collection[int]
    read_timeout: float
    once: bool


@dataclass(frozen=True, slots=True)
class BytesBody:
    """A body that is there as a whole, and can be sent again."""

    data: bytes = field(repr=False)
    spent = False
    _SLICE = 256 * 1024  # one slice must be sent within the connect timeout

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.data)

    def chunks(self) -> Iterable[memoryview]:
        """Its bytes."""
        view = memoryview(self.data)
        for start in range(0, len(view), self._SLICE):
            yield view[start : start + self._SLICE]


class Session:
    """Requests to one registry; for any number of threads.

    Raises:
        ConfigError: a certificate file cannot be used.
    """

    def __init__(
        self,
        access: RegistryAccess,
        *,
        cancellation: Cancellation | None = None,
        emit: Emit = discard,
        retry_policy: RetryPolicy = RETRY_POLICY,
    ) -> None:
        self.host = access.host
        """As users name it."""
        self.address = access.address
        """``host[:port]`` that requests are sent to."""
        self._access = access
        self._cancellation = cancellation or Cancellation()
        self._emit = emit
        self._retry_policy = retry_policy
        self._pace = RateLimiter(access.limits.requests_per_second)
        self._slots = ConnectionLimiter(access.limits.parallel)
        self._own = ConnectionPool(lambda: _own_context(access.tls))
        self._others = ConnectionPool(lambda: _others_context(access.tls))
        self._scheme = _certain_scheme(access.tls)
        self._scheme_lock = threading.Lock()
        # Behind a proxy, names often cannot be looked up here.
        self._resolve = access.proxy is None
        self._authenticator = Authenticator(
            access.credentials, self.host, self._ask_token_service, resolve=self._resolve
        )
        self._cancellation.on_request(self.abort)

    @property
    def origin(self) -> Origin:
        """Where the registry is; found out first where TLS need not be verified.

        Raises:
            RegistryError: neither HTTPS nor HTTP is spoken there.
        """
        with self._scheme_lock:
            if self._scheme is None:
                self._scheme = self._find_scheme()
        return Origin.of(f"{self._scheme}://{self.address}/")

    def request(
        self,
        method: str,
        target: str,
        *,
        subject: str,
        scopes: Scopes = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        allow: Collection[int] = (),
        read_timeout: float = READ_TIMEOUT,
        once: bool = False,
    ) -> Response:
        """Make a request; the caller closes the answer.

        Args:
            method: the HTTP method.
            target: a path from ``/`` on, or an absolute URL that the registry gave.
            subject: the content that is requested, for messages.
            scopes: what a token must allow.
            headers: beside those that every request has.
            body: what to send; sent again on a retry unless it is spent.
            allow: statuses that are not failures, beside 2xx.
            read_timeout: how long the server may be silent, in seconds.
            once: do not try again, whatever happens.

        Raises:
            BundlerError: whatever ``failures`` makes of an answer or of the lack of one.
            CancelledError: work has to stop.
        """
        call = _RequestSpec(method, subject, scopes, headers or {}, body, allow, read_timeout, once)
        give_back = self._slots.acquire(self._cancellation)
        try:
            answer = self._persist(call, target)
        except BaseException:
            give_back()
            raise
        answer.on_close(give_back)
        return answer

    def ping(self) -> None:
        """Make sure that this is a registry, and that it takes the credentials.

        Raises:
            UnauthorizedError: it does not.
            RegistryError: it is none, or cannot be reached.
        """
        with self.request("GET", "/v2/", subject=self.host) as answer:
            if errors.is_html(answer.headers):
                raise errors.from_html_response(answer.url, status=answer.status)

    def abort(self) -> None:
        """Cut all connections, so that no thread waits for one any longer."""
        self._own.abort()
        self._others.abort()

    def close(self) -> None:
        """Close idle connections. The session stays usable: tokens and limits are kept."""
        self._own.close()
        self._others.close()

    def _persist(self, call: _RequestSpec, target: str) -> Response:
        attempts = Attempts(self._retry_policy, call.what, self._cancellation, self._emit)
        for _ in attempts:
            try:
                return self._once(call, target)
            except RegistryError as error:
                if call.once or (call.body is not None and call.body.spent):
                    raise
                wait = attempts.fail(error)
                if isinstance(error, RateLimitedError):
                    self._pace.hold(wait)
        raise AssertionError("an iteration over attempts has no end")

    def _once(self, call: _RequestSpec, target: str) -> Response:
        """One attempt; a 401 is answered with better proof as often as there may be some."""
        origin = self.origin
        url = f"{origin}{target}" if target.startswith("/") else target
        self._await_turn(url)  # before the token is taken, which might expire meanwhile
        for tries_left in (2, 1, 0):
            proof = self._authenticator.get_authorization(call.scopes)
            answer = self._follow(call, url, {} if proof is None else {"Authorization": proof})
            fields = answer.challenges if answer.status == 401 and answer.own else []
            if not fields or not tries_left:
                return self._accepted(call, answer)
            answer.close()
            if call.body is not None and call.body.spent:
                self._authenticator.discard_token(call.scopes, proof)
                message = f"{call.what}: the token expired before the upload began"
                raise RegistryError(message, status=401, temporary=True)
            self._await_turn(url)
            try:
                self._authenticator.answer_challenge(origin, fields, call.scopes, proof)
            except UnauthorizedError as refusal:
                refusal.exchange = refusal.exchange or HttpExchange(call.method, redact(url), 401)
                raise
        raise AssertionError("the last try returns or raises")

    def _accepted(self, call: _RequestSpec, answer: Response) -> Response:
        if 200 <= answer.status < 300 or answer.status in call.allow:
            return answer
        with answer:
            body = b"" if call.method == "HEAD" else answer.read_prefix(errors.MAX_ERROR_BODY)
            raise errors.from_response(
                answer.status,
                answer.headers,
                self._authenticator.redact_body(body),
                request=(call.method, answer.url),
                subject=call.what,
                registry=self.host if answer.own else None,
            )

    def _follow(self, call: _RequestSpec, url: str, proof: Mapping[str, str]) -> Response:
        """Send, and go where the registry sends us; ``proof`` goes to its own origin only."""
        origin = self.origin
        for hop in range(_MAX_REDIRECTS + 1):
            own = Origin.of(url) == origin
            if hop:
                self._await_turn(url)
            if not own:
                check_hop(origin, Origin.of(url), resolve=self._resolve)
            answer = self._send(call, url, proof if own else {}, own=own)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None:
                return answer
            answer.close()
            url = resolve_location(url, location)
            self._check_redirect(call, answer)
        raise RegistryError(f"{call.what}: {origin} redirects more than {_MAX_REDIRECTS} times")

    def _await_turn(self, url: str) -> None:
        """The registry's limits hold for itself, not for where its blobs lie."""
        if Origin.of(url) == self.origin:
            self._pace.wait(self._cancellation)

    def _check_redirect(self, call: _RequestSpec, answer: Response) -> None:
        if call.method in ("GET", "HEAD"):
            return
        if answer.status not in _KEEPS_METHOD or (call.body is not None and call.body.spent):
            raise RegistryError(
                f"{call.what}: {self.origin} redirects a {call.method} elsewhere",
                status=answer.status,
                hint="name the registry as it calls itself; it may want HTTPS",
            )

    def _ask_token_service(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        """Redirects keep to the realm's rule; what proves who asks goes to its origin only."""
        origin = self.origin
        realm = Origin.of(url)
        content = None if body is None else BytesBody(body)
        call = _RequestSpec(method, f"{origin} token", (), {}, content, (), READ_TIMEOUT, once=True)
        for _ in range(_MAX_REDIRECTS + 1):
            self._authenticator.check_token_service(origin, url)
            target = Origin.of(url)
            answer = self._send(call, url, headers if target == realm else {}, own=target == origin)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or location is None or body is not None:
                return answer
            answer.close()
            url = resolve_location(url, location)
        raise RegistryError(f"{realm} redirects more than {_MAX_REDIRECTS} times")

    def _send(
        self, call: _RequestSpec, url: str, more: Mapping[str, str], *, own: bool
    ) -> Response:
        self._cancellation.check()
        headers = {
            "User-Agent": self._access.user_agent or USER_AGENT,
            "Accept-Encoding": "identity",
            **call.headers,
            **more,
        }
        connections = self._own if own else self._others
        proxy = self._proxy(url, own=own)
        try:
            prepared = requests.Request(call.method, url, headers=headers).prepare()
            if call.body is not None:
                prepared.body = call.body.chunks()  # type: ignore[assignment]  # any iterable does
                if call.body.size is None:
                    del prepared.headers["Content-Length"]
                else:
                    prepared.headers["Content-Length"] = str(call.body.size)
            response = connections.send(
                prepared,
                stream=True,
                timeout=(CONNECT_TIMEOUT, call.read_timeout),
                proxies={"http": proxy, "https": proxy} if proxy else {},
            )
        except BundlerError:
            raise
        except NETWORK_ERRORS as error:
            self._cancellation.check()
            raise errors.from_exception(
                error,
                url,
                proxied=proxy is not None,
                registry=self.host,
                certificate=lambda origin: self._presented(origin, proxy),
            ) from error
        return Response(response, own=own, cancellation=self._cancellation)

    def _presented(self, origin: Origin, proxy: str | None) -> CertificateSummary | None:
        details = self._access.tls.details
        return certificates.fetch_certificate(
            origin.host, origin.port, lambda: unverified_context(details), proxy=proxy
        )

    def _proxy(self, url: str, *, own: bool) -> str | None:
        if own:
            return self._access.proxy
        origin = Origin.of(url)
        scheme, _, address = str(origin).partition("://")
        return self._access.proxies.find_proxy("http" if scheme == "http" else "https", address)

    def _find_scheme(self) -> str:
        """Unverified HTTPS where it is spoken, else HTTP."""
        call = _RequestSpec("GET", self.host, (), {}, None, (), READ_TIMEOUT, once=True)
        try:
            self._send(call, f"https://{self.address}/v2/", {}, own=True).close()
        except RegistryError as refused:
            if not errors.speaks_plain_http(refused) and not errors.is_connection_refused(refused):
                raise
            try:
                self._send(call, f"http://{self.address}/v2/", {}, own=True).close()
            except RegistryError:
                raise refused from None
            return "http"
        return "https"


def _certain_scheme(tls: TlsConfig) -> str | None:
    if tls.plain_http:
        return "http"
    return "https" if tls.verify else None


def _own_context(tls: TlsConfig) -> ssl.SSLContext:
    context = _others_context(tls) if tls.verify else unverified_context(tls.details)
    if tls.client_certificate is not None:
        # Without a password, OpenSSL would ask the terminal for one.
        _load(
            tls.client_certificate,
            lambda path: context.load_cert_chain(path, tls.client_key, password=""),
        )
    return context


def _others_context(tls: TlsConfig) -> ssl.SSLContext:
    """For places that the registry names: always verified, and without the client's certificate."""
    context = verifying_context(tls.details)
    for file in tls.ca_files:
        _load(file, context.load_verify_locations)
    return context


def _load(file: Path, load: Callable[[Path], None]) -> None:
    try:
        load(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not usable"
        raise ConfigError(
            f"{file}: cannot be used as a certificate: {reason}",
            hint="PEM is expected, and a client's key without a password",
        ) from None
