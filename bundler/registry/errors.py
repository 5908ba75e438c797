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
from bundler.registry.exchange.watchdog import Phase
from bundler.registry.refusals import create_proxy_login_error
from bundler.registry.tls import handshake_errors
from bundler.registry.tls.handshake_errors import list_plain_http_remedies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bundler.errors import CertificateSummary
    from bundler.registry.tls.handshake_errors import ServerRole

_MAX_DETAIL = 300
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")


def create_network_error(
    error: Exception,
    url: str,
    *,
    role: ServerRole = "registry",
    proxied: bool = False,
    anchors: Sequence[Remedy] = (),
    fetch_certificate: Callable[[Origin], CertificateSummary | None] = lambda _: None,
) -> RegistryError:
    """Create the error for an exception of requests, urllib3, ssl or socket.

    ``anchors`` are the locations of the trusted certificates. ``fetch_certificate`` fetches the
    certificate of an untrusted server, for the message.
    """
    origin = Origin.of(url)
    causes = list(iterate_causes(error))
    refusals = (cause for cause in causes if isinstance(cause, ssl.SSLCertVerificationError))
    if proxied and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        found = _create_proxy_error(origin, causes)
    elif refusal := next(refusals, None):
        from bundler.registry.tls import certificates  # noqa: PLC0415 - for untrusted servers only

        found = certificates.create_error(
            refusal, str(origin), origin.host, fetch_certificate(origin), anchors=anchors
        )
    else:
        found = _classify_causes(causes, str(origin), role)
    found.exchange = HttpExchange("", redact(url))
    return found


def create_stall_error(phase: Phase, limit: float, url: str, role: ServerRole) -> StalledError:
    """Create the error for an exchange that was ended after ``limit`` seconds without progress."""
    origin, duration = Origin.of(url), format_duration(limit)

    def raise_limit(name: str) -> list[Remedy]:
        text = f"raise limits: {{{name}: …}} for this registry"
        return [] if role == "service" else [Remedy(text, in_file=True)]

    match phase:
        case Phase.HANDSHAKE if origin.scheme == "https":
            problem = f"no answer to the TLS handshake within {duration}"
            remedies = [Remedy("check the port")]
            if role == "registry":
                remedies.append(Remedy("specify {option}=false if it has no TLS", "tls-verify"))
            else:
                remedies += list_plain_http_remedies(role)
        case Phase.RESPONSE:
            problem = f"no complete response within {duration}"
            remedies = [Remedy("check the server"), *raise_limit("responseTimeout")]
        case _:
            problem = f"no progress within {duration}"
            remedies = [Remedy("check the network"), *raise_limit("stallTimeout")]
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
    return any(map(handshake_errors.is_plain_http, failures))


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


def _classify_causes(causes: list[BaseException], origin: str, role: ServerRole) -> RegistryError:
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
            case ssl.SSLError():
                return handshake_errors.create_error(cause, origin, role)
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
