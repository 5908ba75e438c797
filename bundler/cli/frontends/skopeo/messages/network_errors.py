"""Skopeo's messages for errors of a registry and of the connection to it."""

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
from bundler.registry.errors import is_plain_http, iterate_causes

if TYPE_CHECKING:
    from bundler.errors import BundlerError, CertificateSummary, HttpExchange

_RESOLV_CONF = Path("/etc/resolv.conf")
_MAX_BODY = 50
_TOKEN = "unable to retrieve auth token: invalid username/password: "  # noqa: S105 - no password


def describe_unreachable(error: BundlerError, host: str, *, verifies_tls: bool) -> str:
    """Describe that no connection to the registry at ``host`` is possible.

    Args:
        error: the failure.
        host: the host name, with its port if that is not the default.
        verifies_tls: whether certificates are verified; if not, plain HTTP is tried last.
    """
    url = f"{'https' if verifies_tls else 'http'}://{host}/v2/"
    return f"pinging container registry {host}: Get {quote(url)}: {_describe_cause(error, host)}"


def is_refused_token(exchange: HttpExchange) -> bool:
    """Return whether a token service refused a token."""
    return exchange.status in (401, 403) and "/v2/" not in exchange.url


def describe_refused_token(exchange: HttpExchange) -> str:
    """Describe the answer of a token service that refused a token."""
    if not exchange.entries:
        return f"{_TOKEN}{describe_answer(exchange)}"
    code, message = exchange.entries[0]
    return f"{_TOKEN}{code.lower().replace('_', ' ')}: {message}"


def describe_answer(exchange: HttpExchange) -> str:
    """Describe the answer of a registry that refused a request."""
    status = exchange.status or 0
    if not 400 <= status < 500:
        return f"received unexpected HTTP status: {_format_status(status)}"
    if exchange.entries:
        code, message = exchange.entries[0]
        return message or code.lower().replace("_", " ")
    if exchange.method == "HEAD" or not exchange.body:
        return {401: "authentication required", 403: "denied"}.get(
            status, f"StatusCode: {status}, {quote('')}"
        )
    excerpt = exchange.body[:_MAX_BODY]
    return f"StatusCode: {status}, {quote(excerpt)}"


def _describe_cause(error: BundlerError, host: str) -> str:
    causes = list(iterate_causes(error))
    for cause in causes:
        match cause:
            case socket.gaierror():
                name = host.rpartition(":")[0] or host
                problem = (
                    "no such host" if cause.errno != socket.EAI_AGAIN else "server misbehaving"
                )
                return f"dial tcp: lookup {name}{_describe_name_server()}: {problem}"
            case CertificateError():
                return f"tls: failed to verify certificate: x509: {_describe_certificate(cause)}"
            case ssl.SSLError() if is_plain_http(cause):
                return "http: server gave HTTP response to HTTPS client"
            case ssl.SSLError():
                return f"remote error: tls: {(cause.reason or 'handshake failure').lower()}"
            case OSError(errno=number) if number in _DIAL_ERRORS:
                return f"dial tcp {_resolve_address(host)}: connect: {_DIAL_ERRORS[number]}"
            case ConnectionResetError():
                return "read: connection reset by peer"
            case TimeoutError():
                return f"dial tcp {_resolve_address(host)}: i/o timeout"
            case _:
                pass
    return "EOF" if any(isinstance(one, ConnectionError) for one in causes) else str(error)


_DIAL_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
}


def _describe_certificate(error: CertificateError) -> str:
    certificate = error.certificate
    match error.problem:
        case CertificateProblem.EXPIRED | CertificateProblem.NOT_YET_VALID:
            return f"certificate has expired or is not yet valid{_describe_validity(certificate)}"
        case CertificateProblem.NAME_MISMATCH if certificate is not None:
            return _describe_mismatch(error.host, certificate.names)
        case CertificateProblem.NAME_MISMATCH:
            return f"certificate is not valid: {error.verify_message}"
        case _:
            return "certificate signed by unknown authority"


def _describe_validity(certificate: CertificateSummary | None) -> str:
    now = datetime.now().astimezone()
    if certificate is None or certificate.not_before <= now <= certificate.not_after:
        return ""
    current = timestamps.format_with_offset(now)
    if now > certificate.not_after:
        after = timestamps.format_with_offset(certificate.not_after)
        return f": current time {current} is after {after}"
    before = timestamps.format_with_offset(certificate.not_before)
    return f": current time {current} is before {before}"


def _describe_mismatch(host: str, names: tuple[str, ...]) -> str:
    """List the names of a certificate of the same kind as ``host``: IP addresses or host names."""
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


def _resolve_address(host: str) -> str:
    """Return the first address of a host, to which Go connects first."""
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, "443"
    try:
        family, *_, address = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return host
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"


def _describe_name_server() -> str:
    """Describe the name server that Go queries."""
    try:
        lines = _RESOLV_CONF.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    servers = [
        line.split()[1] for line in lines if line.startswith("nameserver ") and line.split()[1:]
    ]
    return f" on {servers[0]}:53" if servers else ""


def _format_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} "
