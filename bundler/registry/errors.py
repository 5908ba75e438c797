"""What a refused or failed request means, as one error with one clear line.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

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
from bundler.oci.media_types import parse_content_type
from bundler.registry import certificates
from bundler.registry.origin import Origin, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bundler.errors import CertificateSummary

MAX_ERROR_BODY = 64 * 1024

# OpenSSL's reasons for a handshake that a plain HTTP server answered.
_PLAIN_HTTP = frozenset({"HTTP_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_DETAIL = 300
_LONGEST_BODY = 50


def from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    request: tuple[str, str],
    subject: str,
    registry: str | None,
) -> BundlerError:
    """The error for an answer that is not the one hoped for.

    Args:
        status: the HTTP status.
        headers: the answer's headers.
        body: the beginning of its body, at most ``MAX_ERROR_BODY`` bytes.
        request: method and URL.
        subject: the content that was requested, for the message.
        registry: the registry's name; None if another host answered, to which it redirected.
    """
    error = _refusal(status, headers, body, request=request, what=subject, registry=registry)
    method, url = request
    error.exchange = describe_exchange(status, body, method=method, url=url)
    return error


def describe_exchange(status: int, body: bytes, *, method: str, url: str) -> HttpExchange:
    """What was asked, and the answer; ``body`` is its beginning, without secrets."""
    entries = tuple(
        (_clean(str(entry.get("code", "")))[:80], _clean(str(entry.get("message", ""))))
        for entry in _entries(body)
    )
    beginning = "" if entries else _clean(body[:_LONGEST_BODY].decode("utf-8", "replace"))
    return HttpExchange(method, redact(url), status, entries, beginning)


def from_exception(
    error: Exception,
    url: str,
    *,
    proxied: bool = False,
    registry: str | None = None,
    certificate: Callable[[Origin], CertificateSummary | None] = lambda _: None,
) -> RegistryError:
    """The error for a request, or a body, that broke off for a reason below HTTP.

    Args:
        error: the exception.
        url: the address of the request.
        proxied: whether it went through a proxy.
        registry: ``host[:port]`` of the registry that led to ``url``, as users write it;
            None: the address's own.
        certificate: reads the certificate that a server presents, where it is not trusted.
    """
    origin = Origin.of(url)
    causes = list(iterate_causes(error))
    refusal = certificates.find_refusal(causes)
    if proxied and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        found = _of_proxy(causes, origin)
    elif refusal is not None:
        anchors = certificates.describe_anchors(registry or str(origin).partition("://")[2])
        found = certificates.create_error(
            refusal, str(origin), origin.host, certificate(origin), anchors=anchors
        )
    else:
        found = _breakdown(causes, origin)
    found.exchange = HttpExchange("", redact(url))
    return found


def from_html_response(url: str, *, status: int | None = None) -> RegistryError:
    """The error for a web page where a registry's answer should be."""
    return RegistryError(
        f"{Origin.of(url)} answered with a web page (HTML): not a registry, or a login page or "
        "proxy stands before it",
        status=status,
        hint="check the host and the port; open the same address in a browser to see the page",
    )


def is_html(headers: Mapping[str, str]) -> bool:
    """Whether the body is a web page."""
    return parse_content_type(headers.get("Content-Type", "")) in (
        "text/html",
        "application/xhtml+xml",
    )


def speaks_plain_http(error: Exception) -> bool:
    """Whether a TLS handshake failed since the server does not speak TLS at all."""
    return any(
        isinstance(cause, ssl.SSLError) and cause.reason in _PLAIN_HTTP
        for cause in iterate_causes(error)
    )


def is_connection_refused(error: Exception) -> bool:
    """Whether nothing listens there."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in iterate_causes(error))


def iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all that it wraps, outermost first."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(seen) < 20:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or any(item is one for one in seen):
            continue
        seen.append(item)
        yield item
        queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


def _refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    request: tuple[str, str],
    what: str,
    registry: str | None,
) -> BundlerError:
    method, url = request
    own = registry is not None
    codes, detail = _errors(body, headers)
    if status == 429 or (400 <= status < 500 and "TOOMANYREQUESTS" in codes):
        return RateLimitedError(
            f"{what}: {Origin.of(url)} is asked too often{detail}",
            status=status,
            codes=codes,
            retry_after=_retry_after(headers),
        )
    if own and status == 401:
        return UnauthorizedError(
            f"{what}: {Origin.of(url)} wants other credentials{detail}",
            status=status,
            codes=codes,
            hint=f"airbundle login {registry}",
        )
    if is_html(headers) and status < 500:
        return from_html_response(url, status=status)
    if method in ("PUT", "DELETE") and _is_immutable(status, codes, detail):
        return ConflictError(
            f"{what}: the registry will not change it{detail}",
            hint="it is immutable there: choose another tag, or allow changes in the registry",
        )
    if own and status == 403:
        return DeniedError(
            f"{what}: {Origin.of(url)} does not allow {_verb(method)}{detail}",
            status=status,
            codes=codes,
            hint="ask for the right, or log in as somebody who has it",
        )
    if status == 404:
        return NotFoundError(f"{what}: not found{detail}", hint=_missing_hint(codes))
    if status in (405, 501) or "UNSUPPORTED" in codes:
        return UnsupportedError(f"{what}: {Origin.of(url)} does not do {method}{detail}")
    # A signed URL that has run out answers 403; the registry signs a fresh one.
    temporary = status in _TEMPORARY or (not own and status in (401, 403))
    return RegistryError(
        f"{what}: {method} {redact(url)} was answered {_phrase(status)}{detail}",
        status=status,
        codes=codes,
        temporary=temporary,
        retry_after=_retry_after(headers) if status == 503 else None,
    )


def _of_proxy(causes: list[BaseException], origin: Origin) -> RegistryError:
    return RegistryError(
        f"{origin}: the proxy refuses or fails: {_words(causes[-1])}",
        temporary=True,
        hint="look at HTTPS_PROXY and NO_PROXY",
    )


def _breakdown(causes: list[BaseException], origin: Origin) -> RegistryError:
    where = str(origin)
    for cause in causes:
        found = _known(cause, where)
        if found is not None:
            return found
    return RegistryError(f"{where}: the connection failed: {_words(causes[-1])}", temporary=True)


def _known(cause: BaseException, where: str) -> RegistryError | None:
    match cause:
        case urllib3.exceptions.NewConnectionError():
            return None  # called a timeout there; what it wraps says more
        case socket.gaierror():
            return RegistryError(
                f"{where}: the host name cannot be resolved: {_words(cause)}",
                temporary=cause.errno == socket.EAI_AGAIN,
                hint="check the name for typing mistakes, and DNS",
            )
        case ssl.SSLError() if speaks_plain_http(cause):
            return RegistryError(
                f"{where}: the server speaks plain HTTP, not HTTPS",
                hint="--tls-verify=false for this registry, if its network can be trusted",
            )
        case ssl.SSLError():
            return RegistryError(
                f"{where}: TLS failed: {cause.reason or _words(cause)}",
                hint="the registry may want a client certificate (certs.d), or refuse this one",
            )
        case ConnectionRefusedError():
            return RegistryError(
                f"{where}: nothing listens there (connection refused)",
                temporary=True,
                hint="check the port, and that the registry is running",
            )
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return RegistryError(
                f"{where}: there is no route to it",
                temporary=True,
                hint="check the network; behind a proxy set HTTPS_PROXY",
            )
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            return RegistryError(f"{where}: no answer in time", temporary=True)
        case ConnectionError():
            return RegistryError(f"{where}: the connection was cut", temporary=True)
        case _:
            return None


def _words(error: BaseException) -> str:
    """An exception's own words, without the objects' addresses that urllib3 puts before them."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        return type(error).__name__
    return _clean(str(error)) or type(error).__name__


def _errors(body: bytes, headers: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """The codes of the specification's error document, and what to add to a message."""
    entries = _entries(body)
    codes = tuple(_clean(str(entry.get("code", "")))[:80] for entry in entries)
    texts = [
        ": ".join(_clean(str(entry[key])) for key in ("code", "message") if entry.get(key))
        for entry in entries
    ]
    if not texts and parse_content_type(headers.get("Content-Type", "")) == "text/plain":
        texts = [_clean(body[:_LONGEST_DETAIL].decode("utf-8", "replace"))]
    text = "; ".join(text for text in texts[:3] if text)[:_LONGEST_DETAIL]
    return codes, f" ({text})" if text else ""


def _entries(body: bytes) -> list[dict[str, Any]]:
    try:
        value = strict.loads(body, limit=MAX_ERROR_BODY)
    except (BundlerError, RecursionError):
        return []
    if not isinstance(value, dict):
        return []
    entries = value.get("errors")
    if not isinstance(entries, list):
        entries = [{"code": value.get("error"), "message": value.get("error_description")}]
    return [entry for entry in entries[:10] if isinstance(entry, dict)]


def _is_immutable(status: int, codes: tuple[str, ...], detail: str) -> bool:
    """Harbor answers 412, Quay and Artifactory 409, ECR 400; in words they all say it."""
    if status in (409, 412):
        return True
    return status in (400, 403, 405) and (
        "immutab" in detail.lower() or "TAG_IMMUTABLE" in codes or "already exists" in detail
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until Retry-After; it is a number or a date."""
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _missing_hint(codes: tuple[str, ...]) -> str | None:
    if "NAME_UNKNOWN" in codes or "MANIFEST_UNKNOWN" in codes:
        return "check the name; some registries show what is private only after a login"
    return None


def _verb(method: str) -> str:
    verbs = {"GET": "reading", "HEAD": "reading", "DELETE": "deleting"}
    return verbs.get(method, "writing")


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _clean(text: str) -> str:
    """Text from outside, on one line and without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text).strip()[:_LONGEST_DETAIL]


def from_malformed_document(subject: str, error: MalformedError) -> RegistryError:
    """A registry's own document (a list, a token) that cannot be read."""
    return RegistryError(f"{subject}: the answer is not what a registry sends: {error.message}")
