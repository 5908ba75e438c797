"""Errors for TLS connections that fail for another reason than an untrusted certificate."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Literal

from bundler.errors import RegistryError, Remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

ServerRole = Literal["registry", "named", "lookaside", "service"]
"""How a server became known, which determines who can correct its settings: the ``registry`` of a
reference; a host that a registry ``named``; a ``lookaside`` server, or a ``service`` such as a
transparency log, whose URL the user configured."""

# The reasons are OpenSSL's; those of a server's alerts contain ALERT.
_PLAIN_HTTP = frozenset({"HTTP_REQUEST", "RECORD_LAYER_FAILURE", "WRONG_VERSION_NUMBER"})
"""A server without TLS answered a handshake."""
_CUT_OFF = frozenset(
    {
        "BAD_LENGTH",
        "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
        "PROTOCOL_IS_SHUTDOWN",
        "SSLV3_ALERT_BAD_RECORD_MAC",
        "UNEXPECTED_EOF_WHILE_READING",
    }
)
"""The connection was cut off, or its content was damaged in transit."""
_CLIENT_CERTIFICATE = frozenset(
    {
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
    }
)
"""The server requires a client certificate, or does not accept the one it received."""
_PARAMETERS = frozenset(
    {
        "BAD_KEY_SHARE",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "NO_CIPHERS_AVAILABLE",
        "NO_PROTOCOLS_AVAILABLE",
        "NO_SHARED_CIPHER",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
    }
)
"""The two sides have no version, cipher suite, group or key size in common."""
_HANDSHAKE_FAILURE = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""The alert for parameters, and before TLS 1.3 also for a missing client certificate."""
_UNKNOWN_NAME = "TLSV1_UNRECOGNIZED_NAME"

_MODERN = Remedy("enable TLS 1.2 or 1.3 with current cipher suites and keys on the server")
_LESS_RESTRICTED = Remedy("allow what the server supports in the file of --tls-details")


def is_plain_http(error: ssl.SSLError) -> bool:
    """Return whether the handshake failed because the server has no TLS."""
    return error.reason in _PLAIN_HTTP


def is_closed(error: ssl.SSLError) -> bool:
    """Return whether a TLS connection, or its handshake, was cut off or damaged in transit."""
    closed = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    return isinstance(error, closed) or error.reason in _CUT_OFF


def create_error(failure: ssl.SSLError, server: str, role: ServerRole) -> RegistryError:
    """Create the error for a failed TLS connection to ``server``."""
    if is_closed(failure):
        return RegistryError(f"{server}: the TLS connection was closed", temporary=True)
    if is_plain_http(failure):
        problem, trusts = "the server uses plain HTTP, not HTTPS", "if you trust the network: "
        prefix = trusts if role in ("registry", "lookaside", "service") else ""
        remedies = list_plain_http_remedies(role)
    else:
        reason = failure.reason or failure.strerror or type(failure).__name__
        problem, prefix = f"TLS failed: {reason}", ""
        remedies = _list_remedies(failure.reason, role)
    return RegistryError(f"{server}: {problem}").suggest(*remedies, prefix=prefix)


def list_plain_http_remedies(role: ServerRole) -> Sequence[Remedy]:
    """Return the next steps for a server without TLS."""
    match role:
        case "registry":
            return (
                Remedy("specify {option}=false", "tls-verify"),
                Remedy("set tls: {verify: false} for this registry", in_file=True),
            )
        case "named":
            return (
                Remedy("correct the URL of this server in the configuration of the registry"),
                Remedy("enable TLS on the server"),
            )
        case "lookaside":
            return (Remedy("begin its URL in registries.d with http://"),)
        case "service":
            return (Remedy("begin its URL with http:// where it is configured"),)


def _list_remedies(reason: str | None, role: ServerRole) -> Sequence[Remedy]:
    """Return the next steps for a handshake that failed with OpenSSL's ``reason``."""
    certificate: tuple[Remedy, ...] = (
        Remedy("check the client certificate in certs.d; the server may require another"),
        Remedy("specify its directory with {option}", "cert-dir"),
    )
    if role != "registry":
        certificate = (
            Remedy("do not require a client certificate; only the registry itself receives it"),
        )
    if reason in _CLIENT_CERTIFICATE:
        return certificate
    if reason in _PARAMETERS:
        return (_MODERN, _LESS_RESTRICTED)
    if reason == _HANDSHAKE_FAILURE:
        return (_MODERN, *certificate)
    if reason == _UNKNOWN_NAME:
        return (Remedy("use the name for which the server, or the proxy before it, is configured"),)
    return (Remedy("check the server with openssl s_client -connect HOST:PORT"),)
