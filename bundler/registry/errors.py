"""Errors for failed requests and unexpected responses.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
import urllib3

from bundler.errors import (
    BundlerError,
    ConflictError,
    DeniedError,
    HttpExchange,
    MalformedError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.oci.json import strict
from bundler.registry.auth.origin import Origin, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bundler.errors import CertificateSummary
    from bundler.registry.response import Response

MAX_ERROR_BODY = 64 * 1024

# OpenSSL error reasons that occur when a plain HTTP server answers a TLS handshake.
_PLAIN_HTTP = frozenset({"HTTP_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_HTML = ("text/html", "application/xhtml+xml")
_MAX_DETAIL = 300
_MAX_EXCHANGE_BODY = 50


def create_response_error(
    response: Response, body: bytes, *, method: str, subject: str, registry: str | None
) -> BundlerError:
    """Create the error for a response with an error status; ``subject`` is the requested content.

    ``body`` contains up to ``MAX_ERROR_BODY`` bytes with secrets redacted. ``registry`` is None for
    a token service.
    """
    exchange = create_exchange(response, body, method)
    registry = registry if response.own else None
    error = _classify_response(response, body, exchange, subject, registry)
    error.exchange = exchange
    return error


def create_exchange(response: Response, body: bytes, method: str) -> HttpExchange:
    """Describe a request and its response, for the ``exchange`` field of an error."""
    entries = _parse_entries(body)
    text = "" if entries else _clean(body[:_MAX_EXCHANGE_BODY].decode("utf-8", "replace"))
    return HttpExchange(method, redact(response.url), response.status, entries, text)


def create_network_error(
    error: Exception,
    url: str,
    *,
    proxied: bool = False,
    registry: str | None = None,
    fetch_certificate: Callable[[Origin], CertificateSummary | None] = lambda _: None,
) -> RegistryError:
    """Create the error for an exception of requests, urllib3, ssl or socket.

    ``registry`` is the ``host[:port]`` that sent ``url``; None: the host of ``url``.
    ``fetch_certificate`` fetches the certificate of an untrusted server, for the message.
    """
    origin = Origin.of(url)
    causes = list(iterate_causes(error))
    refusals = (cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError))
    if proxied and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        found = RegistryError(
            f"{origin}: the proxy refused the connection or failed: {_describe(causes[-1])}",
            temporary=True,
            hint="check HTTPS_PROXY and NO_PROXY",
        )
    elif refusal := next(refusals, None):
        from bundler.registry.tls import certificates  # noqa: PLC0415 - for untrusted servers only

        anchors = certificates.describe_anchors(registry or str(origin).partition("://")[2])
        found = certificates.create_error(
            refusal, str(origin), origin.host, fetch_certificate(origin), anchors=anchors
        )
    else:
        found = _classify_causes(causes, str(origin))
    found.exchange = HttpExchange("", redact(url))
    return found


def refuse_html(response: Response) -> None:
    """Raise RegistryError if a response is an HTML page, which no registry sends."""
    if response.media_type in _HTML:
        raise _create_html_error(response)


def create_parse_error(subject: str, error: MalformedError) -> RegistryError:
    """Create the error for a list or a token that is not valid JSON."""
    return RegistryError(f"{subject}: invalid response of the registry: {error.message}")


def is_plain_http(error: Exception) -> bool:
    """Return whether a TLS handshake failed because the server uses plain HTTP."""
    failures = (cause for cause in iterate_causes(error) if isinstance(cause, ssl.SSLError))
    return any(failure.reason in _PLAIN_HTTP for failure in failures)


def is_connection_refused(error: Exception) -> bool:
    """Return whether the connection failed because no server listens on the port."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in iterate_causes(error))


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and the exceptions that it wraps, outermost first."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(seen) < 20:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or any(item is known for known in seen):
            continue
        seen.append(item)
        yield item
        queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def _classify_response(
    response: Response, body: bytes, exchange: HttpExchange, subject: str, registry: str | None
) -> BundlerError:
    status, method, origin = response.status, exchange.method, Origin.of(response.url)
    codes = tuple(code for code, _ in exchange.entries)
    texts = [": ".join(filter(None, entry)) for entry in exchange.entries]
    if not texts and response.media_type == "text/plain":
        texts = [_clean(body[:_MAX_DETAIL].decode("utf-8", "replace"))]
    detail = "; ".join(filter(None, texts[:3]))[:_MAX_DETAIL]
    detail = f" ({detail})" if detail else ""
    if status == 429 or (400 <= status < 500 and "TOOMANYREQUESTS" in codes):
        return RateLimitedError(
            f"{subject}: the rate limit of {origin} is exceeded{detail}",
            status=status,
            codes=codes,
            retry_after=_parse_retry_after(response.headers),
        )
    if registry is not None and status == 401:
        return UnauthorizedError(
            f"{subject}: {origin} does not accept the credentials{detail}",
            status=status,
            codes=codes,
            hint=f"airbundle login {registry}",
        )
    if response.media_type in _HTML and status < 500:
        return _create_html_error(response)
    # Harbor returns 412, Quay and Artifactory 409, ECR 400; all of them state the reason as text.
    states_immutable = (
        "immutab" in detail.lower() or "TAG_IMMUTABLE" in codes or "already exists" in detail
    )
    if method in ("PUT", "DELETE") and (
        status in (409, 412) or (status in (400, 403, 405) and states_immutable)
    ):
        return ConflictError(
            f"{subject}: immutable in the registry{detail}",
            hint="choose another tag, or allow changes in the registry",
        )
    if registry is not None and status == 403:
        action = {"GET": "reading", "HEAD": "reading", "DELETE": "deleting"}.get(method, "writing")
        return DeniedError(
            f"{subject}: {origin} does not allow {action}{detail}",
            status=status,
            codes=codes,
            hint="request the permission, or log in as a user with this permission",
        )
    if status == 404:
        hint = None
        if "NAME_UNKNOWN" in codes or "MANIFEST_UNKNOWN" in codes:
            hint = "check the name; some registries show private repositories only after a login"
        return NotFoundError(f"{subject}: not found{detail}", hint=hint)
    if status in (405, 501) or "UNSUPPORTED" in codes:
        return UnsupportedError(f"{subject}: {origin} does not support {method}{detail}")
    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    return RegistryError(
        f"{subject}: {method} {redact(response.url)} returned {phrase}{detail}",
        status=status,
        codes=codes,
        # An expired signed URL returns 403; after a retry, the registry signs a new one.
        temporary=status in _TEMPORARY or (registry is None and status in (401, 403)),
        retry_after=_parse_retry_after(response.headers) if status == 503 else None,
    )


def _create_html_error(response: Response) -> RegistryError:
    return RegistryError(
        f"{Origin.of(response.url)}: the response is a web page (HTML): not a registry, or behind "
        "a login page or a proxy",
        status=response.status,
        hint="check the host and the port, or open the page in a browser",
    )


def _classify_causes(causes: list[BaseException], origin: str) -> RegistryError:
    """Create the error for the outermost exception of a known type."""

    def fail(problem: str, hint: str | None = None, *, temporary: bool = True) -> RegistryError:
        return RegistryError(f"{origin}: {problem}", temporary=temporary, hint=hint)

    for cause in causes:
        match cause:
            case urllib3.exceptions.NewConnectionError():
                continue  # a subclass of urllib3's TimeoutError; the wrapped cause is more specific
            case socket.gaierror():
                return fail(
                    f"the host name cannot be resolved: {_describe(cause)}",
                    "check the host name and the DNS configuration",
                    temporary=cause.errno == socket.EAI_AGAIN,
                )
            case ssl.SSLError() if is_plain_http(cause):
                hint = "use --tls-verify=false for this registry if its network is trusted"
                return fail("the server uses plain HTTP, not HTTPS", hint, temporary=False)
            case ssl.SSLError():
                hint = "check the client certificate (certs.d), which the registry may require"
                return fail(
                    f"TLS failed: {cause.reason or _describe(cause)}", hint, temporary=False
                )
            case ConnectionRefusedError():
                return fail(
                    "connection refused", "check the port, and that the registry is running"
                )
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return fail(
                    "no route to the host", "check the network; behind a proxy set HTTPS_PROXY"
                )
            case TimeoutError() | urllib3.exceptions.TimeoutError():
                return fail("timed out")
            case ConnectionError():
                return fail("the connection was closed")
            case _:
                continue
    return fail(f"the connection failed: {_describe(causes[-1])}")


def _describe(error: BaseException) -> str:
    """Return the text of an exception, without the object addresses that urllib3 includes."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        return type(error).__name__
    return _clean(str(error)) or type(error).__name__


def _parse_entries(body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the code and message of each error in a response of a registry or token service."""
    try:
        value = strict.loads(body, limit=MAX_ERROR_BODY)
    except (BundlerError, RecursionError):
        return ()
    if not isinstance(value, dict):
        return ()
    entries = value.get("errors")
    keys = ("code", "message")
    if not isinstance(entries, list):
        entries, keys = [value], ("error", "error_description")
    texts = (
        [_clean(str(entry.get(key) or "")) for key in keys]
        for entry in entries[:10]
        if isinstance(entry, dict)
    )
    return tuple((code[:80], message) for code, message in texts if code or message)


def _parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the delay of Retry-After in seconds; None if it is absent or invalid."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _clean(text: str) -> str:
    """Return text from a server as one line without control characters."""
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_MAX_DETAIL]
