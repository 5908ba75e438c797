"""Connections to a container engine: over a Unix socket, or over TCP with or without TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bundler.config.registry_access import ANY_DETAILS, TlsDetails
from bundler.content.streams.reader import BUFFER_SIZE
from bundler.errors import (
    ConfigError,
    DeniedError,
    EngineUnreachableError,
    InvalidReferenceError,
    RegistryError,
)
from bundler.registry.tls import certificates
from bundler.registry.tls.contexts import create_unverified_context, create_verifying_context

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 1800.0  # seconds: an engine may archive a whole image before it sends the first byte


@dataclass(frozen=True, slots=True)
class EngineTls:
    """TLS settings for connections to an engine."""

    verify: bool = True
    """Verify the certificate of the engine."""
    directory: Path | None = None
    """Directory with ``ca.pem``, trusted in addition to the system's authorities, and the client's
    ``cert.pem`` and ``key.pem``; None if unset."""
    details: TlsDetails = ANY_DETAILS
    """Permitted versions and algorithms."""


class EngineConnector:
    """Opens connections to an engine. Thread-safe.

    Args:
        host: see ``Engine``.
        tls: the configuration of TLS.

    Raises:
        ConfigError: the files for TLS cannot be used.
        InvalidReferenceError: ``host`` is invalid.
    """

    def __init__(self, host: str, tls: EngineTls) -> None:
        self.host = host[:200]
        """The host, for messages."""
        self._address = _Address.parse(host)
        self._context = _create_context(tls) if self._address.tls else None
        self._details = tls.details

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection, which the caller closes.

        Raises:
            CertificateError: the certificate of the engine is not trusted.
            DeniedError: access to the socket is denied.
            EngineUnreachableError: no engine answers.
            RegistryError: TLS failed.
        """
        address = self._address
        if self._context is None:
            connection = http.client.HTTPConnection(
                address.name, address.port, _TIMEOUT, blocksize=BUFFER_SIZE
            )
        else:
            connection = http.client.HTTPSConnection(
                address.name,
                address.port,
                timeout=_TIMEOUT,
                blocksize=BUFFER_SIZE,
                context=self._context,
            )
        try:
            if address.socket is None:
                connection.connect()
            else:
                connection.sock = _open_unix_socket(address.socket)
        except ssl.SSLCertVerificationError as error:
            raise self._create_certificate_error(error) from error
        except ssl.SSLError as error:
            raise RegistryError(
                f"{self.host}: TLS failed: {error.reason}",
                hint="specify the directory with its ca.pem, and your cert.pem and key.pem, with "
                "--src-cert-dir or --dest-cert-dir",
            ) from error
        except PermissionError as error:
            reason = (error.strerror or str(error)).lower()
            raise DeniedError(
                f"{self.host}: access to the socket is denied: {reason}",
                hint="join its group (docker), run this as root, or use a rootless engine",
            ) from error
        except OSError as error:
            raise EngineUnreachableError(
                self.host,
                error,
                hint="start it (systemctl start docker, or podman system service), or specify "
                "another with --src-daemon-host or --dest-daemon-host",
            ) from error
        return connection

    def _create_certificate_error(self, error: ssl.SSLCertVerificationError) -> RegistryError:
        name, port = self._address.name, self._address.port or http.client.HTTPS_PORT
        certificate = certificates.fetch_certificate(
            name, port, lambda: create_unverified_context(self._details)
        )
        anchors = "ca.pem in a directory, and name it with --src-cert-dir or --dest-cert-dir"
        return certificates.create_error(error, self.host, name, certificate, anchors=anchors)


@dataclass(frozen=True, slots=True)
class _Address:
    """The address of an engine."""

    name: str
    port: int | None = None
    socket: str | None = None
    """Path of a Unix socket, where ``name`` is only the HTTP host; None: TCP."""
    tls: bool = False

    @classmethod
    def parse(cls, host: str) -> _Address:
        scheme, _, rest = host.partition("://")
        if scheme == "unix" and rest.startswith("/"):
            return cls("localhost", socket=rest)
        try:
            parts = urlsplit(host)
            has_only_host = parts.path in ("", "/") and not parts.query and "@" not in host
            if scheme in ("http", "https", "tcp") and parts.hostname and has_only_host:
                return cls(parts.hostname, parts.port, tls=scheme != "http")
        except ValueError:
            pass
        raise InvalidReferenceError(
            "the host of a container engine is invalid",
            hint="write unix:///path/of/its/socket, http://host:port or tcp://host:port",
        )


def _create_context(tls: EngineTls) -> ssl.SSLContext:
    context = (create_verifying_context if tls.verify else create_unverified_context)(tls.details)
    if tls.directory is None:
        return context
    try:
        if tls.verify:
            context.load_verify_locations(tls.directory / "ca.pem")
        context.load_cert_chain(tls.directory / "cert.pem", tls.directory / "key.pem", password="")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a certificate and its key"
        raise ConfigError(
            f"{tls.directory}: ca.pem, cert.pem and key.pem cannot be used: {reason}",
            hint="the directory with an engine's certificates contains these three files",
        ) from None
    return context


def _open_unix_socket(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_TIMEOUT)
        connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection
