"""Errors for untrusted certificates, with the reason and a remedy.

The ssl module discards the certificate of a failed handshake. To describe it, a second, unverified
handshake fetches the certificate; no request is sent over that connection.
"""

from __future__ import annotations

import http.client
import socket
from base64 import b64encode
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bundler.errors import (
    CertificateError,
    CertificateProblem,
    CertificateSummary,
    Remedy,
    shortlist,
)
from bundler.oci.json import timestamps
from bundler.registry.exchange.watchdog import Exchange, ExchangeLimits, Phase

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Sequence

    from bundler.config.registry_access import RegistryAccess
    from bundler.registry.tls.handshake_errors import ServerRole

_TIMEOUT = 5.0  # seconds, for the connection, and for the second handshake
_MAX_NAMES = 5
_LONGEST_NAME = 200

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_PROBLEMS = {
    2: CertificateProblem.UNKNOWN_ISSUER,
    9: CertificateProblem.NOT_YET_VALID,
    10: CertificateProblem.EXPIRED,
    18: CertificateProblem.SELF_SIGNED,
    19: CertificateProblem.UNKNOWN_ISSUER,  # the server also sent its CA certificate
    20: CertificateProblem.UNKNOWN_ISSUER,
    21: CertificateProblem.UNKNOWN_ISSUER,
    62: CertificateProblem.NAME_MISMATCH,
    64: CertificateProblem.NAME_MISMATCH,
}

_HINTS = {
    CertificateProblem.EXPIRED: "renew it on the server, or correct the local clock ({now})",
    CertificateProblem.NOT_YET_VALID: (
        "correct the local clock ({now}), or the clock of the issuer"
    ),
    CertificateProblem.SELF_SIGNED: "verify its fingerprint, then save it as PEM in ",
    CertificateProblem.UNKNOWN_ISSUER: "save the certificate of its issuer as PEM in ",
    CertificateProblem.NAME_MISMATCH: (
        "use a name from the certificate (location in registries.conf can map the registry to it), "
        "or issue a certificate for {host}"
    ),
    CertificateProblem.OTHER: (
        "issue a certificate that OpenSSL accepts (openssl s_client shows the current one)"
    ),
}


def create_error(
    failure: ssl.SSLCertVerificationError,
    server: str,
    host: str,
    certificate: CertificateSummary | None,
    *,
    anchors: Sequence[Remedy],
) -> CertificateError:
    """Create the error for a certificate that OpenSSL rejected.

    ``host`` is the name or address for which the certificate must be valid. ``certificate`` is None
    if it could not be fetched. ``anchors`` is the result of ``list_anchors``.
    """
    problem = _PROBLEMS.get(failure.verify_code, CertificateProblem.OTHER)
    now = datetime.now(UTC)
    reason = _describe_problem(problem, failure.verify_message, host, certificate, now)
    error = CertificateError(
        f"{server}: the certificate is not trusted: {reason}",
        problem=problem,
        host=host,
        verify_code=failure.verify_code,
        verify_message=failure.verify_message,
        certificate=certificate,
        hint=_HINTS[problem].format(now=_format_date(now), host=host),
    )
    if problem in (CertificateProblem.SELF_SIGNED, CertificateProblem.UNKNOWN_ISSUER):
        error.suggest(*anchors, prefix=_HINTS[problem])
    return error


def list_anchors(access: RegistryAccess, referred: str, role: ServerRole) -> list[Remedy]:
    """Return the locations of trusted certificates, for a hint.

    ``referred`` is the server: that of ``access``, or a host that it refers to.
    """
    registry = access.host
    if access.tls.embedded is not None:
        return [Remedy("certificate-authority-data of its cluster in kubeconfig")]
    if role == "service":
        return [Remedy("the file in SSL_CERT_FILE")]
    scope = "" if registry == referred else f", which also applies to {referred}"
    return [
        Remedy(f"/etc/containers/certs.d/{registry}/ca.crt{scope}", unless=("cert-dir",)),
        Remedy("the directory of {option}", "cert-dir", given="{value}"),
        Remedy("the file of tls: {caFile: FILE} for this registry", in_file=True),
        Remedy("the file in SSL_CERT_FILE"),
    ]


def fetch_certificate(
    host: str, port: int, create_context: Callable[[], ssl.SSLContext], *, proxy: str | None = None
) -> CertificateSummary | None:
    """Fetch the certificate of a server without verification; None if that fails.

    ``create_context`` creates a TLS context that does not verify certificates, and ``proxy`` is the
    URL of the proxy to the server.
    """
    try:
        parts = urlsplit(proxy or "")
        if proxy is not None and parts.scheme != "http":
            return None  # http.client does not support TLS to the proxy
        address = (host, port) if proxy is None else (parts.hostname or "", parts.port or 80)
        connection = http.client.HTTPSConnection(
            *address, timeout=_TIMEOUT, context=create_context()
        )
        with closing(connection), _watching(connection):
            if proxy is not None:
                secret = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
                basic = f"Basic {b64encode(secret.encode()).decode()}"
                headers = {} if parts.username is None else {"Proxy-Authorization": basic}
                connection.set_tunnel(host, port, headers)
            connection.connect()
            data = connection.sock.getpeercert(binary_form=True)
            return None if data is None else summarize(data)
    except (OSError, http.client.HTTPException, ValueError):
        return None  # the error message then contains only OpenSSL's reason


@contextmanager
def _watching(connection: http.client.HTTPSConnection) -> Iterator[None]:
    """Shut ``connection`` down if its tunnel and its handshake together take too long."""
    exchange = Exchange(ExchangeLimits(handshake=_TIMEOUT))
    with ExitStack() as stack:
        stack.callback(exchange.finish)

        def connect(*arguments: Any, **options: Any) -> socket.socket:  # noqa: ANN401
            connected = socket.create_connection(*arguments, **options)
            exchange.attach(stack.enter_context(connected.dup()))
            exchange.enter(Phase.HANDSHAKE)
            return connected

        connection._create_connection = connect  # type: ignore[attr-defined]  # noqa: SLF001
        yield


def summarize(data: bytes) -> CertificateSummary:
    """Return the names, issuer and validity of a certificate in DER.

    Raises:
        ValueError: the certificate is malformed.
    """
    from cryptography import x509  # noqa: PLC0415 - imported only when a certificate is refused

    try:
        certificate = x509.load_der_x509_certificate(data)
        names: list[str] = []
        with suppress(x509.ExtensionNotFound):
            extensions = certificate.extensions
            found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            names += found.get_values_for_type(x509.DNSName)
            names += map(str, found.get_values_for_type(x509.IPAddress))
        return CertificateSummary(
            tuple(map(_clean, names)),
            _clean(certificate.issuer.rfc4514_string()),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except (x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        raise ValueError("malformed certificate") from None


def _describe_problem(
    problem: CertificateProblem,
    verify_message: str,
    host: str,
    certificate: CertificateSummary | None,
    now: datetime,
) -> str:
    if certificate is None:
        return verify_message
    match problem:
        case CertificateProblem.EXPIRED if certificate.not_after < now:
            return f"it expired on {_format_date(certificate.not_after)}"
        case CertificateProblem.NOT_YET_VALID if certificate.not_before > now:
            return f"it is not valid before {_format_date(certificate.not_before)}"
        case CertificateProblem.EXPIRED | CertificateProblem.NOT_YET_VALID:
            return f"the certificate of an issuer is not valid: {verify_message}"
        case CertificateProblem.SELF_SIGNED:
            return f"it is self-signed ({certificate.issuer})"
        case CertificateProblem.UNKNOWN_ISSUER:
            return f"its issuer is unknown ({certificate.issuer})"
        case CertificateProblem.NAME_MISMATCH:
            names = shortlist(certificate.names, _MAX_NAMES) or "no subjectAltName"
            return f"it was issued for another name (expected {host}, got {names})"
        case CertificateProblem.OTHER:
            return verify_message


def _format_date(moment: datetime) -> str:
    return timestamps.format_to_minute(moment)


def _clean(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_NAME]
