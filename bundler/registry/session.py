"""Session with one registry, shared by all its repositories and all threads of a run.

A session authenticates, follows redirects, enforces the configured limits, and retries requests
that fail temporarily. It does not resume interrupted responses.

Only the origin of the registry and its token service receive credentials. Redirects from HTTPS to
HTTP are refused. The certificates of other hosts are verified, unless the verification is off for
the registry that they belong to.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Unpack

from bundler.cancel import Cancellation
from bundler.errors import RateLimitedError, RefusedRequestError, RegistryError
from bundler.events import Emit, WarningIssued, discard
from bundler.registry import refusals
from bundler.registry.auth.host_rules import HostRules
from bundler.registry.auth.origin import Origin
from bundler.registry.auth.token_auth import Authenticator
from bundler.registry.error_responses import MAX_BODY
from bundler.registry.exchange.http_client import RETRY_POLICY, HttpClient
from bundler.registry.exchange.request import BytesBody, RequestSpec
from bundler.registry.rate_limit import ConnectionLimiter, RateLimiter
from bundler.registry.refusals import Refusal
from bundler.retry_policy import Attempts, RetryPolicy
from bundler.silence import find_silence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.config.registry_access import RegistryAccess
    from bundler.registry.exchange.request import RequestOptions
    from bundler.registry.exchange.response import Response

_MAX_CHALLENGES = 2
_MAX_REDIRECTS = 5
_KEEPS_METHOD = frozenset({307, 308})
_UNEXPLAINED = frozenset({400, 401, 403})
"""Statuses of a HEAD whose reason, which has no body, is requested by a GET."""


class Session:
    """Client of one registry; thread-safe."""

    def __init__(
        self,
        access: RegistryAccess,
        *,
        cancellation: Cancellation | None = None,
        emit: Emit = discard,
        retry_policy: RetryPolicy = RETRY_POLICY,
    ) -> None:
        self.host = access.host
        self.address = access.address
        self.upload_chunk = access.upload_chunk
        """Maximum size in bytes of an upload request; None: no limit."""
        self._access = access
        self._cancellation = cancellation or Cancellation()
        self._emit = emit
        self._retry_policy = retry_policy
        self._rate = RateLimiter(access.limits.requests_per_second)
        self._connections = ConnectionLimiter(access.limits.parallel)
        self._client = HttpClient(access, self._cancellation)
        self._scheme: str | None = None
        if access.tls.plain_http:
            self._scheme = "http"
        elif access.tls.verify:
            self._scheme = "https"
        self._scheme_lock = threading.Lock()
        self._ping_lock = threading.Lock()
        self._current = threading.local()
        """Thread-local state: ``silence`` is that of the current operation."""
        self._rules = HostRules(
            access.host,
            access.token_service,
            trusts_all=access.trusts_named_hosts,
            look_up_hosts=access.proxy is None,
        )
        self._authenticator = Authenticator(
            access.credentials, self.host, self._send_token_request, self._rules
        )
        self._cancellation.on_request(self.abort)

    @property
    def access(self) -> RegistryAccess:
        """The access to the registry, with its proxies and certificate authorities."""
        return self._access

    @property
    def origin(self) -> Origin:
        """The origin of the registry. The first access may send requests to detect the scheme.

        Raises:
            RegistryError: the registry can be reached by neither HTTPS nor HTTP.
        """
        with self._scheme_lock:
            if self._scheme is None:
                self._scheme = self._client.detect_scheme()
        return Origin.of(f"{self._scheme}://{self.address}/")

    def request(
        self, method: str, target: str, *, subject: str, **options: Unpack[RequestOptions]
    ) -> Response:
        """Send a request; the caller closes the response.

        ``target`` is an absolute path, or an absolute URL that the registry returned. The other
        arguments are fields of ``RequestSpec``.

        Raises:
            BundlerError: the request failed; see ``refusals``.
            CancelledError: the run was cancelled.
            ConfigError: a certificate file cannot be used.
        """
        spec = RequestSpec(method, subject, **options)
        release = self._connections.acquire(self._cancellation)
        attempts = Attempts(self._retry_policy, subject, self._cancellation, self._emit)
        try:
            for _ in attempts:
                try:
                    response = self._send_authenticated(spec, target)
                except RegistryError as error:
                    error.registry = self.host
                    self._client.set_patience(error)
                    if spec.no_retry or spec.is_spent:
                        raise
                    is_limited = isinstance(error, RateLimitedError)
                    try:
                        wait = self._client.schedule_retry(attempts, error, spec.silence)
                    except RegistryError:
                        if is_limited:
                            error.patience = 0.0  # the caller must not retry either
                        raise
                    self._rate.delay(wait if is_limited else 0.0)
                else:
                    response.on_close(release)
                    return response
        except BaseException:
            release()
            raise
        raise AssertionError("unreachable: attempts are unlimited")

    def fetch(
        self, target: str, limit: int, *, subject: str, **options: Unpack[RequestOptions]
    ) -> tuple[Response, bytes]:
        """Send a GET and read the whole body, of at most ``limit`` bytes; retry both.

        Raises:
            LimitError: the body is larger than ``limit`` bytes.
            BundlerError: as ``request``.
        """
        attempts = Attempts(self._retry_policy, subject, self._cancellation, self._emit)
        silence = options.setdefault("silence", find_silence())
        for _ in attempts:
            with self.request("GET", target, subject=subject, **options) as response:
                try:
                    return response, response.read(limit, subject)
                except RegistryError as error:
                    failure = error
            self._client.schedule_retry(attempts, failure, silence)
        raise AssertionError("unreachable: attempts are unlimited")

    def ping(self) -> None:
        """Check that the host is a registry that accepts the credentials.

        Raises:
            UnauthorizedError: the registry refuses the credentials.
            RegistryError: the host is not a registry, or cannot be reached.
        """
        self.request("GET", "/v2/", subject=self.host).close()

    def has_signature_api(self) -> bool:
        """Return whether the registry has the signature API.

        Usually known from earlier responses; otherwise, one request is sent.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        attempts = Attempts(self._retry_policy, self.host, self._cancellation, self._emit)
        spec = RequestSpec("GET", self.host)
        with self._ping_lock:  # the images of a run ask at the same time
            while self._client.has_signature_api is None:
                next(attempts)
                try:
                    self._send_ping(spec, {}).close()
                except RegistryError as error:
                    error.registry = self.host
                    self._client.schedule_retry(attempts, error, spec.silence)
            return self._client.has_signature_api

    def resolve_location(self, base: str, location: str) -> str:
        """Return the absolute URL of a Location header in the response to a request for ``base``.

        Raises:
            RegistryError: ``location`` is not a valid URL, or redirects from HTTPS to HTTP.
        """
        return self._rules.resolve_location(base, location)

    def warn(self, text: str) -> None:
        """Emit a warning."""
        self._emit(WarningIssued(text))

    def abort(self) -> None:
        """Shut down all connections, so that threads blocked on them fail immediately."""
        self._client.abort()

    def close(self) -> None:
        """Close idle connections. The session remains usable and keeps its tokens and limits."""
        self._client.close()

    def _send_authenticated(self, spec: RequestSpec, target: str) -> Response:
        """Send a request; after a 401, authenticate and send it again."""
        origin = self.origin
        self._current.silence = spec.silence
        url = f"{origin}{target}" if target.startswith("/") else target
        self._wait_for_rate_limit(
            spec, url
        )  # before authorization: a token could expire during the wait
        answered = 0
        while True:
            authorization = self._authenticator.get_authorization(spec.scopes)
            headers = {} if authorization is None else {"Authorization": authorization}
            response = self._follow(spec, url, headers)
            if response.own:
                self._authenticator.record_answer(authorization, response.status)
            if response.status != 401 or not response.own or answered == _MAX_CHALLENGES:
                break
            find, fields = self._authenticator.find_challenge, response.challenges
            challenge = find(fields, authorization, repeated=answered > 0)
            sent_none = authorization is None and not self._access.credentials.anonymous
            if challenge is None and sent_none:
                # Harbor refuses requests for a missing project before it asks for credentials.
                with self._send_ping(spec, {}) as other:
                    challenge = find(other.challenges, None, repeated=False)
            if challenge is None:
                break
            answered += 1
            response.close()
            if spec.is_spent:
                self._authenticator.discard_token(spec.scopes, authorization)
                message = f"{spec.subject}: the token expired before the upload began"
                raise RegistryError(message, status=401, temporary=True)
            self._wait_for_rate_limit(spec, url)
            self._authenticator.answer_challenge(origin, challenge, spec.scopes, authorization)
        if 200 <= response.status < 300 or response.status in spec.allowed_statuses:
            if response.status == HTTPStatus.OK and spec.method not in ("HEAD", "DELETE"):
                try:
                    refusals.refuse_html(response)
                except RefusedRequestError:
                    response.close()
                    raise
            return response
        with response:
            raise self._create_refusal(spec, response, headers).create_error()

    def _create_refusal(
        self, spec: RequestSpec, response: Response, headers: Mapping[str, str]
    ) -> Refusal:
        """Describe the refusal of a request, and whether the registry accepts the credentials."""
        body = b""
        if spec.method != "HEAD":
            body = response.read_prefix(MAX_BODY)
        elif response.own and response.status in _UNEXPLAINED:
            # The reason is in the body of the same response to a GET.
            with (
                suppress(RegistryError),
                self._follow(replace(spec, method="GET"), response.url, headers) as explained,
            ):
                if explained.status == response.status:
                    body = explained.read_prefix(MAX_BODY)
        unproven = response.own and self._authenticator.login == "unproven"
        if unproven and response.status == 401 and not response.url.endswith("/v2/"):
            with suppress(RegistryError), self._send_ping(spec, headers) as other:
                self._authenticator.record_answer(headers.get("Authorization"), other.status)
        return Refusal(
            response,
            body,
            method=spec.method,
            subject=spec.subject,
            registry=self.host,
            credentials=self._access.credentials,
            scopes=spec.scopes,
            login=self._authenticator.login,
            server="registry" if response.own else "storage",
            redact_secrets=self._authenticator.redact,
        )

    def _send_ping(self, cause: RequestSpec, headers: Mapping[str, str]) -> Response:
        ping = RequestSpec("GET", self.host, no_retry=True, silence=cause.silence)
        return self._follow(ping, f"{self.origin}/v2/", headers)

    def _follow(self, spec: RequestSpec, url: str, authorization: Mapping[str, str]) -> Response:
        """Send a request and follow redirects; send ``authorization`` to the registry only."""
        origin = self.origin
        for hop in range(_MAX_REDIRECTS + 1):
            own = Origin.of(url) == origin
            if hop:
                self._wait_for_rate_limit(spec, url)
            if not own:
                self._rules.check_target(origin, Origin.of(url))
            keeps = self._rules.keeps_authorization(origin, Origin.of(url))
            response = self._send(spec, url, authorization if keeps else {}, own=own)
            if (location := response.redirect) is None:
                return response
            response.close()
            url = self._rules.resolve_location(url, location)
            is_read = spec.method in ("GET", "HEAD")
            if not is_read and (response.status not in _KEEPS_METHOD or spec.is_spent):
                raise RefusedRequestError(
                    f"{spec.subject}: unexpected redirect of {spec.method} by {origin}",
                    status=response.status,
                    hint="use the host and scheme of the redirect; the registry may require HTTPS",
                )
        raise RefusedRequestError(
            f"{spec.subject}: more than {_MAX_REDIRECTS} redirects from {origin}"
        )

    def _wait_for_rate_limit(self, spec: RequestSpec, url: str) -> None:
        """Wait for the rate limit, which does not apply to hosts that the registry redirects to."""
        if Origin.of(url) == self.origin:
            spec.silence.waited += self._rate.wait(self._cancellation)

    def _send_token_request(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None
    ) -> Response:
        """Send a request to a token service and follow redirects.

        ``headers``, which contain the credentials, are sent to the origin of ``url`` only. The
        request counts as part of this thread's operation, which needs the token.
        """
        origin, realm = self.origin, Origin.of(url)
        content, silence = None if body is None else BytesBody(body), self._current.silence
        spec = RequestSpec(method, f"{origin} token", body=content, no_retry=True, silence=silence)
        for _ in range(_MAX_REDIRECTS + 1):
            self._rules.check_token_service(origin, url)
            target = Origin.of(url)
            sent = headers if target == realm else {}
            response = self._send(spec, url, sent, own=target == origin)
            location = response.redirect
            if location is None or body is not None:
                return response
            response.close()
            url = self._rules.resolve_location(url, location)
        raise RefusedRequestError(f"{realm}: more than {_MAX_REDIRECTS} redirects")

    def _send(
        self, spec: RequestSpec, url: str, headers: Mapping[str, str], *, own: bool
    ) -> Response:
        """Send a request. Hosts that belong to the registry share its TLS verification setting."""
        verify = self._access.tls.verify
        if not own and not verify:
            verify = not self._rules.belongs(self.origin, Origin.of(url))
        return self._client.send(spec, url, headers, own=own, verify=verify)
