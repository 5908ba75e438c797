"""Skopeo's messages for registry and connection errors."""

from __future__ import annotations

import errno
import socket
from datetime import datetime
from http.client import responses
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo import requests
from bundler.cli.frontends.skopeo.messages.local_errors import FAILED, NOT_FOUND
from bundler.errors import CertificateError, CertificateProblem
from bundler.gocompat.quoting import quote
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
    from bundler.errors import BundlerError, HttpExchange

_RESOLV_CONF = Path("/etc/resolv.conf")
_MAX_BODY = 50
_TOKEN = "unable to retrieve auth token: invalid username/password: "  # noqa: S105 - no password
_MESSAGES = {
    "UNKNOWN": "unknown error",
    "UNSUPPORTED": "The operation is unsupported.",
    "UNAUTHORIZED": "authentication required",
    "DENIED": "requested access to the resource is denied",
    "UNAVAILABLE": "service unavailable",
    "TOOMANYREQUESTS": "too many requests",
    "DIGEST_INVALID": "provided digest did not match uploaded content",
    "SIZE_INVALID": "provided length did not match content length",
    "NAME_INVALID": "invalid repository name",
    "TAG_INVALID": "manifest tag did not match URI",
    "NAME_UNKNOWN": "repository name not known to registry",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "MANIFEST_INVALID": "manifest invalid",
    "MANIFEST_UNVERIFIED": "manifest failed signature verification",
    "MANIFEST_BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UNKNOWN": "blob unknown to registry",
    "BLOB_UPLOAD_UNKNOWN": "blob upload unknown to registry",
    "BLOB_UPLOAD_INVALID": "blob upload invalid",
    "PAGINATION_NUMBER_INVALID": "invalid number of results requested",
}
"""The codes of distribution, with their default messages."""
_DIAL_ERRORS = {
    errno.ECONNREFUSED: "connection refused",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network is unreachable",
}


def describe_read_error(
    error: BundlerError,
    exchange: HttpExchange,
    image: DisplayReference,
    line: CommandLine,
    side: str = "",
) -> tuple[str, int]:
    """Describe an error while reading an image; return the message and the exit status."""
    fetching = f"fetching manifest {image.version} in {image.repository}"
    if exchange.status is None:
        return f"{fetching}: {describe_unreachable(error, image, line, side)}", FAILED
    answer = describe_answer(exchange)
    if exchange.is_token:
        return f"{fetching}: {answer}", FAILED
    if "/blobs/" in exchange.url:
        digest = exchange.url.rpartition("/")[2]
        return f"reading blob {digest}: fetching blob: {answer}", FAILED
    reading = f"reading manifest {image.version} in {image.repository}"
    if exchange.status != 404:
        return f"{reading}: {answer}", FAILED
    return f"{reading}: {answer if exchange.entries else 'manifest unknown'}", NOT_FOUND


def describe_write_error(
    error: BundlerError,
    exchange: HttpExchange,
    image: DisplayReference,
    line: CommandLine,
    first_blob: str | None,
) -> str:
    """Describe an error while writing an image whose first blob is ``first_blob``."""
    reusing = f"trying to reuse blob {first_blob} at destination"
    if exchange.status is None:
        return f"{reusing}: {describe_unreachable(error, image, line, 'dest-')}"
    answer = describe_answer(exchange)
    if exchange.is_token:
        return f"{reusing}: {answer}"
    if "/manifests/" in exchange.url:
        upload = f"uploading manifest {image.version} to {image.repository}"
        return f"writing manifest: {upload}: {answer}"
    if exchange.method == "HEAD":
        checking = f"checking whether a blob {first_blob} exists in {image.repository}"
        return f"{reusing}: {checking}: {answer}"
    if exchange.method == "POST":
        path = f"{image.url_path}blobs/uploads/"
        return f"writing blob: initiating layer upload to {path} in {image.host}: {answer}"
    return f"writing blob: uploading layer chunked: {answer}"


def describe_answer(exchange: HttpExchange) -> str:
    """Describe the response with which a registry or token service refused a request."""
    status, front = exchange.status or 0, _TOKEN if exchange.is_token else ""
    if exchange.is_token and status == 429:
        return "too many requests to registry"
    if exchange.is_token and status != 401:
        phrase = f"{status} ({responses.get(status, '')})"
        return f"Requesting bearer token: invalid status code from registry {phrase}"
    if not 400 <= status < 500:
        return f"received unexpected HTTP status: {status} {responses.get(status, '')}"
    # Skopeo reads a manifest by GET, where the registry client may send a HEAD.
    has_body = exchange.method != "HEAD" or "/blobs/" not in exchange.url
    entries = [entry for entry in exchange.entries if has_body or not entry.in_body]
    if entries:
        # The library of distribution knows its own codes only, and adds no default message.
        entry = entries[0]
        code = entry.code if entry.code in _MESSAGES else "UNKNOWN"
        text, default = code.lower().replace("_", " "), _MESSAGES[code]
        if entry.has_detail or entry.text not in ("", default):
            text = default if entry.text == default else f"{text}: {entry.text}"
        return front + text
    if status == 401:
        return f"{front}authentication required"
    body = exchange.body if has_body else ""
    more = "..." if len(body) > _MAX_BODY else ""
    return f"{front}StatusCode: {status}, {quote(body[:_MAX_BODY] + more)}"


def describe_unreachable(
    error: BundlerError, image: DisplayReference, line: CommandLine, side: str = ""
) -> str:
    """Describe a failed connection to the registry of ``image``."""
    # Without verification of certificates, plain HTTP is tried last.
    scheme = "http" if requests.find_tls_verify(line, side) is False else "https"
    url = quote(f"{scheme}://{image.host}/v2/")
    cause = _describe_cause(error, image.host)
    return f"pinging container registry {image.host}: Get {url}: {cause}"


def _describe_cause(error: BundlerError, host: str) -> str:
    import ssl  # noqa: PLC0415 - only if a connection failed

    from bundler.registry.errors import is_plain_http, iterate_causes  # noqa: PLC0415 - as above

    causes = list(iterate_causes(error))
    for cause in causes:
        match cause:
            case socket.gaierror():
                name = host.rpartition(":")[0] or host
                unknown = cause.errno != socket.EAI_AGAIN
                reason = "no such host" if unknown else "server misbehaving"
                return f"dial tcp: lookup {name}{_describe_name_server()}: {reason}"
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
    return "EOF" if any(isinstance(cause, ConnectionError) for cause in causes) else str(error)


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


def _describe_certificate(error: CertificateError) -> str:
    certificate, host = error.certificate, error.host
    if error.problem in (CertificateProblem.EXPIRED, CertificateProblem.NOT_YET_VALID):
        text, now = "certificate has expired or is not yet valid", datetime.now().astimezone()
        if certificate is None or certificate.not_before <= now <= certificate.not_after:
            return text
        expired = now > certificate.not_after
        limit = certificate.not_after if expired else certificate.not_before
        current, limit_text = map(timestamps.format_with_offset, (now, limit))
        return f"{text}: current time {current} is {'after' if expired else 'before'} {limit_text}"
    if error.problem is not CertificateProblem.NAME_MISMATCH:
        return "certificate signed by unknown authority"
    if certificate is None:
        return f"certificate is not valid: {error.verify_message}"
    valid = [name for name in certificate.names if _is_address(name) == _is_address(host)]
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
    """Return the first address of a host, which Go tries first."""
    name, colon, port = host.rpartition(":")
    if not colon:
        name, port = host, "443"
    try:
        family, *_, address = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return host
    return f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
