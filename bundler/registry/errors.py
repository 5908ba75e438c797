"""Errors for connections that fail, and for documents that are not valid JSON."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
import urllib3

from bundler.errors import (
    DeniedError,
    HttpExchange,
    MalformedError,
    RefusedRequestError,
    RegistryError,
    Remedy,
    StalledError,
)
from bundler.gocompat.durations import format_duration
from bundler.registry.auth.origin import Origin, redact
from bundler.registry.refusals import create_proxy_login_error
from bundler.registry.watchdog import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.errors import CertificateSummary

# OpenSSL error reasons when a plain HTTP server answers a TLS handshake.
_PLAIN_HTTP = frozenset({"HTTP_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
# OpenSSL error reasons of connections that were cut off, or whose content was damaged in transit.
_CUT_OFF = frozenset(
    {
        "BAD_LENGTH",
        "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
        "PROTOCOL_IS_SHUTDOWN",
        "SSLV3_ALERT_BAD_RECORD_MAC",
        "UNEXPECTED_EOF_WHILE_READING",
    }
)
_MAX_DETAIL = 300
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")


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
        found = _create_proxy_error(origin, causes)
    elif refusal := next(refusals, None):
        from bundler.registry.tls import certificates  # noqa: PLC0415 - for untrusted servers only

        address = str(origin).partition("://")[2]
        anchors = certificates.list_anchors(registry or address, referred=address)
        found = certificates.create_error(
            refusal, str(origin), origin.host, fetch_certificate(origin), anchors=anchors
        )
    else:
        found = _classify_causes(causes, str(origin))
    found.exchange = HttpExchange("", redact(url))
    return found


def create_stall_error(phase: Phase, limit: float, url: str) -> StalledError:
    """Create the error for an exchange that was ended after ``limit`` seconds without progress."""
    origin, duration = Origin.of(url), format_duration(limit)
    raise_limit = "raise limits: {{{0}: …}} for this registry"
    match phase:
        case Phase.HANDSHAKE if origin.scheme == "https":
            problem = f"no answer to the TLS handshake within {duration}"
            remedies = [
                Remedy("check the port"),
                Remedy("specify {option}=false if it has no TLS", "tls-verify"),
            ]
        case Phase.RESPONSE:
            problem = f"no complete response within {duration}"
            setting = Remedy(raise_limit.format("responseTimeout"), in_file=True)
            remedies = [Remedy("check the registry"), setting]
        case _:
            problem = f"no progress within {duration}"
            setting = Remedy(raise_limit.format("stallTimeout"), in_file=True)
            remedies = [Remedy("check the network"), setting]
    error = StalledError(f"{origin}: {problem}", host=str(origin), limit=limit)
    error.exchange = HttpExchange("", redact(url))
    error.suggest(*remedies)
    return error


def create_parse_error(subject: str, error: MalformedError) -> RegistryError:
    """Create the error for a response (a list or a token) that is not valid JSON."""
    return RefusedRequestError(f"{subject}: invalid response from the registry: {error.message}")


def is_plain_http(error: Exception) -> bool:
    """Return whether a TLS handshake failed because the server uses plain HTTP."""
    failures = (cause for cause in iterate_causes(error) if isinstance(cause, ssl.SSLError))
    return any(failure.reason in _PLAIN_HTTP for failure in failures)


def is_closed_tls(error: ssl.SSLError) -> bool:
    """Return whether a TLS connection, or its handshake, was cut off or damaged in transit."""
    closed = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    return isinstance(error, closed) or error.reason in _CUT_OFF


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


def _create_proxy_error(origin: Origin, causes: list[BaseException]) -> RegistryError:
    """Create the error for a proxy that cannot be reached, or opens no tunnel to the registry."""
    # http.client states the response to CONNECT as text only.
    texts = (text for cause in causes for text in cause.args if isinstance(text, str))
    refusals = filter(None, map(_TUNNEL.match, texts))
    status = next((int(refusal[1]) for refusal in refusals), None)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return create_proxy_login_error(str(origin), status=status)
    if status is not None and 400 <= status < 500:
        return DeniedError(
            f"{origin}: the proxy refuses connections to this host: {_describe(causes[-1])}",
            status=status,
            hint=f"allow {origin} in the proxy, or list the host in NO_PROXY",
        )
    return RegistryError(
        f"{origin}: the proxy failed or refused the connection: {_describe(causes[-1])}",
        temporary=True,
        hint="check HTTPS_PROXY and NO_PROXY",
    )


def _classify_causes(causes: list[BaseException], origin: str) -> RegistryError:
    """Create the error for the outermost exception of a known type."""

    def fail(problem: str, hint: str | None = None, *, temporary: bool = True) -> RegistryError:
        return RegistryError(f"{origin}: {problem}", temporary=temporary, hint=hint)

    for cause in causes:
        match cause:
            case urllib3.exceptions.NewConnectionError():
                continue  # also a urllib3 TimeoutError; the wrapped cause is more specific
            case socket.gaierror():
                return fail(
                    f"the host name cannot be resolved: {_describe(cause)}",
                    "check the host name and the DNS configuration",
                    temporary=cause.errno == socket.EAI_AGAIN,
                )
            case ssl.SSLError() if is_plain_http(cause):
                return fail("the server uses plain HTTP, not HTTPS", temporary=False).suggest(
                    Remedy("specify {option}=false", "tls-verify"),
                    Remedy("set tls: {verify: false} for this registry", in_file=True),
                    prefix="if you trust the network: ",
                )
            case ssl.SSLError() if is_closed_tls(cause):
                return fail("the TLS connection was closed")
            case ssl.SSLError():
                hint = "check the client certificate (certs.d); the registry may require one"
                return fail(
                    f"TLS failed: {cause.reason or _describe(cause)}", hint, temporary=False
                )
            case ConnectionRefusedError():
                return fail(
                    "connection refused", "check the port, and whether the registry is running"
                )
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return fail(
                    "no route to the host", "check the network; behind a proxy, set HTTPS_PROXY"
                )
            case TimeoutError() | urllib3.exceptions.TimeoutError():
                return fail("timed out")
            case ConnectionError() | http.client.IncompleteRead():
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
    text = "".join(char if char.isprintable() else " " for char in str(error)).strip()
    return text[:_MAX_DETAIL] or type(error).__name__
