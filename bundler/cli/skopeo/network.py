"""Failures of a registry, and of the way to it, as Go's libraries and Skopeo put them."""

from __future__ import annotations

import errno
import socket
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.skopeo.logrus import quoted
from bundler.registry.failures import causes_of, speaks_plain_http

if TYPE_CHECKING:
    from bundler.errors import BundlerError, Exchange

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
    return f"pinging container registry {host}: Get {quoted(url)}: {_why(error, host)}"


def is_refused_token(exchange: Exchange) -> bool:
    """Whether it was a token service that said no."""
    return exchange.status in (401, 403) and "/v2/" not in exchange.url


def refused_token(exchange: Exchange) -> str:
    """What a token service said."""
    if not exchange.entries:
        return f"{_TOKEN}{answer(exchange)}"
    code, message = exchange.entries[0]
    return f"{_TOKEN}{code.lower().replace('_', ' ')}: {message}"


def answer(exchange: Exchange) -> str:
    """What a registry said."""
    status = exchange.status or 0
    if not 400 <= status < 500:
        return f"received unexpected HTTP status: {_named(status)}"
    if exchange.entries:
        code, message = exchange.entries[0]
        return message or code.lower().replace("_", " ")
    if exchange.method == "HEAD" or not exchange.body:
        return {401: "authentication required", 403: "denied"}.get(
            status, f"StatusCode: {status}, {quoted('')}"
        )
    shown = exchange.body[:_MOST_BODY]
    return f"StatusCode: {status}, {quoted(shown)}"


def _why(error: BundlerError, host: str) -> str:
    causes = list(causes_of(error))
    for cause in causes:
        match cause:
            case socket.gaierror():
                name = host.rpartition(":")[0] or host
                trouble = (
                    "no such host" if cause.errno != socket.EAI_AGAIN else "server misbehaving"
                )
                return f"dial tcp: lookup {name}{_resolver()}: {trouble}"
            case ssl.SSLCertVerificationError():
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


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    reason = error.verify_message
    if "expired" in reason or "not yet valid" in reason:
        return "certificate has expired or is not yet valid"
    if "mismatch" in reason or "doesn't match" in reason:
        return f"certificate is not valid: {reason}"
    return "certificate signed by unknown authority"


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
