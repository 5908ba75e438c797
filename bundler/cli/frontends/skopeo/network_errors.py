"""Failures of a registry, and of the way to it, as Go's libraries and Skopeo put them."""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import datetime
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.errors import CertificateError, CertificateProblem
from bundler.gocompat.quoting import quote
from bundler.oci.json import timestamps
from bundler.registry.errors import iterate_causes, speaks_plain_http

if TYPE_CHECKING:
    from bundler.errors import BundlerError, CertificateSummary, HttpExchange

_RESOLVERS = Path("/etc/resolv.conf")
_MOST_BODY = 50
_TOKEN = "unable to retrieve auth token: invalid username/password: "  # noqa: S105 - no password


def unreachable(error: BundlerError, host: str, *, verified: bool) -> str:
    """That nobody can talk to the registry at ``host``, and why.

    Args:
        error: what went wrong.
        host: with its port, if it has one of its own.
        verified: whether it must prove who it is; if not, plain HTTP is the last thing tried.
    """
    url = f"{'https' if verified else 'http'}://{host}/v2/"
    return f"pinging container registry {host}: Get {quote(url)}: {_why(error, host)}"


def is_refused_token(exchange: HttpExchange) -> bool:
    """Whether it was a token service that said no."""
    return exchange.status in (401, 403) and "/v2/" not in exchange.url


def refused_token(exchange: HttpExchange) -> str:
    """What a token service said."""
    if not exchange.entries:
        return f"{_TOKEN}{answer(exchange)}"
    code, message = exchange.entries[0]
    return f"{_TOKEN}{code.lower().replace('_', ' ')}: {message}"


def answer(exchange: HttpExchange) -> str:
    """What a registry said."""
    status = exchange.status or 0
    if not 400 <= status < 500:
        return f"received unexpected HTTP status: {_named(status)}"
    if exchange.entries:
        code, message = exchange.entries[0]
        return message or code.lower().replace("_", " ")
    if exchange.method == "HEAD" or not exchange.body:
        return {401: "authentication required", 403: "denied"}.get(
            status, f"StatusCode: {status}, {quote('')}"
        )
    shown = exchange.body[:_MOST_BODY]
    return f"StatusCode: {status}, {quote(shown)}"


def _why(error: BundlerError, host: str) -> str:
    causes = list(iterate_causes(error))
    for cause in causes:
        match cause:
            case socket.gaierror():
                name = host.rpartition(":")[0] or host
                trouble = (
                    "no such host" if cause.errno != socket.EAI_AGAIN else "server misbehaving"
                )
                return f"dial tcp: lookup {name}{_resolver()}: {trouble}"
            case CertificateError():
                return f"tls: failed to verify certificate: x509: {_distrust(cause)}"
            case ssl.SSLError() if speaks_plain_http(cause):
                return "http: server gave HTTP response to HTTPS client"
            case ssl.SSLError():
                return f"remote error: tls: {(cause.reason or 'handshake failure').lower()}"
            case OSError(errno=number) if number in _DIALLED:
                return f"dial tcp {_address(host)}: connect: {_DIALLED[number]}"
            case ConnectionResetError():
                return "read: connection reset by peer"
            case TimeoutError():
                return f"dial tcp {_address(host)}: i/o timeout"
            case _:
                pass
    return "EOF" if any(isinstance(one, ConnectionError) for one in causes) else str(error)


_DIALLED = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
}


def _distrust(error: CertificateError) -> str:
    certificate = error.certificate
    match error.problem:
        case CertificateProblem.EXPIRED | CertificateProblem.NOT_YET_VALID:
            return f"certificate has expired or is not yet valid{_dates(certificate)}"
        case CertificateProblem.NAME_MISMATCH if certificate is not None:
            return _mismatch(error.host, certificate.names)
        case CertificateProblem.NAME_MISMATCH:
            return f"certificate is not valid: {error.verify_message}"
        case _:
            return "certificate signed by unknown authority"


def _dates(certificate: CertificateSummary | None) -> str:
    now = datetime.now().astimezone()
    if certificate is None or certificate.not_before <= now <= certificate.not_after:
        return ""
    shown = timestamps.format_with_offset(now)
    if now > certificate.not_after:
        after = timestamps.format_with_offset(certificate.not_after)
        return f": current time {shown} is after {after}"
    before = timestamps.format_with_offset(certificate.not_before)
    return f": current time {shown} is before {before}"


def _mismatch(host: str, names: tuple[str, ...]) -> str:
    """Names the host names of a certificate, or its IP addresses, as ``host`` is one or other."""
    valid = [name for name in names if _is_address(name) == _is_address(host)]
    if valid:
        return f"certificate is valid for {', '.join(valid)}, not {host}"
    if _is_address(host):
        return f"cannot validate certificate for {host} because it doesn't contain any IP SANs"
    return f"certificate is not valid for any names, but wanted to match {host}"


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _address(host: str) -> str:
    """The first address that a connection is tried to."""
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, "443"
    try:
        family, *_, address = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return host
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"


def _resolver() -> str:
    """Who was asked for the address of a host."""
    try:
        lines = _RESOLVERS.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    servers = [
        line.split()[1] for line in lines if line.startswith("nameserver ") and line.split()[1:]
    ]
    return f" on {servers[0]}:53" if servers else ""


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} "
