"""Connections to a container engine: over a Unix socket, or over TCP with or without TLS."""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bundler.content.streams import BUFFER_SIZE
from bundler.errors import (
    ConfigError,
    DeniedError,
    EngineUnreachableError,
    InvalidReferenceError,
    RegistryError,
    Remedy,
)
from bundler.registry.exchange.response_head import BoundedResponse
from bundler.registry.exchange.watchdog import Phase
from bundler.registry.tls import handshake_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.config.registry_access import TlsDetails
    from bundler.config.settings import Settings
    from bundler.registry.exchange.watchdog import Exchange
    from bundler.transports.docker_daemon.transport import DaemonOptions

_CONNECT_TIMEOUT = 15.0


class EngineConnector:
    """Opens connections to an engine. Thread-safe.

    Args:
        daemon: the address, and the files for TLS.
        load_settings: returns the settings, which contain TLS restrictions.

    Raises:
        ConfigError: the files for TLS cannot be used.
        InvalidReferenceError: the address is invalid.
    """

    def __init__(self, daemon: DaemonOptions, load_settings: Callable[[], Settings]) -> None:
        self.host = daemon.host[:200]
        """The host, for messages."""
        scheme, _, path = daemon.host.partition("://")
        self._name = "localhost"
        self._port: int | None = None
        self._socket: str | None = None
        """The path of a Unix socket; None: TCP."""
        self._context: ssl.SSLContext | None = None
        """The TLS context; None: no TLS."""
        if scheme == "unix" and path.startswith("/"):
            self._socket = path
            return
        is_valid = False
        with suppress(ValueError):
            parts = urlsplit(daemon.host)
            self._name, self._port = parts.hostname or "", parts.port
            has_only_host = parts.path in ("", "/") and not parts.query and "@" not in daemon.host
            is_valid = scheme in ("http", "https", "tcp") and bool(self._name) and has_only_host
        if not is_valid:
            raise InvalidReferenceError(
                "container engine: invalid host",
                hint="specify unix:///path/to/socket, http://host:port or tcp://host:port",
            )
        if scheme != "http":
            self._details = load_settings().tls_details
            self._context = _create_context(daemon, self._details)

    def connect(self, exchange: Exchange) -> http.client.HTTPConnection:
        """Open a connection for ``exchange``; the caller closes it.

        Raises:
            CertificateError: the certificate of the engine is not trusted.
            DeniedError: access to the socket is denied.
            EngineUnreachableError: no engine responds.
            RegistryError: TLS failed.
        """
        connection = http.client.HTTPConnection(self._name, self._port, blocksize=BUFFER_SIZE)
        connection.response_class = BoundedResponse
        try:
            with ExitStack() as stack:
                if self._socket is not None:
                    opened = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                    opened.settimeout(_CONNECT_TIMEOUT)
                    opened.connect(self._socket)
                else:
                    default = http.client.HTTPS_PORT if self._context else http.client.HTTP_PORT
                    address = (self._name, self._port or default)
                    opened = stack.enter_context(
                        socket.create_connection(address, _CONNECT_TIMEOUT)
                    )
                opened.settimeout(None)
                if self._context is not None:
                    # TLS moves the connection to a new object; another descriptor remains usable.
                    with opened.dup() as handle:
                        exchange.attach(handle)
                        exchange.enter(Phase.HANDSHAKE)
                        opened = self._context.wrap_socket(opened, server_hostname=self._name)
                exchange.attach(opened)
                stack.pop_all()
                connection.sock = opened
        except OSError as error:
            if exchange.expired is not None:
                raise
            raise self._convert_error(error) from error
        return connection

    def _convert_error(self, error: OSError) -> RegistryError:
        """Return the error to raise if no connection can be opened."""
        if isinstance(error, ssl.SSLCertVerificationError):
            from bundler.registry.tls import certificates, contexts  # noqa: PLC0415 - only for TLS

            certificate = certificates.fetch_certificate(
                self._name,
                self._port or http.client.HTTPS_PORT,
                lambda: contexts.create_unverified_context(self._details),
            )
            text = "ca.pem in a directory, and specify it with {option}"
            anchors = [Remedy(text, "cert-dir", given="{value}/ca.pem")]
            return certificates.create_error(
                error, self.host, self._name, certificate, anchors=anchors
            )
        if isinstance(error, ssl.SSLError) and handshake_errors.is_plain_http(error):
            return RegistryError(f"{self.host}: the engine uses plain HTTP, not TLS").suggest(
                Remedy(
                    "specify {option} http://HOST:PORT",
                    "daemon-host",
                    given="specify {option} http://HOST:PORT",
                ),
                prefix="if you trust the network: ",
            )
        if isinstance(error, ssl.SSLError):
            return RegistryError(f"{self.host}: TLS failed: {error.reason}").suggest(
                Remedy(
                    "specify the directory with your cert.pem and key.pem with {option}",
                    "cert-dir",
                    given="check cert.pem and key.pem in {value}",
                ),
            )
        if isinstance(error, PermissionError):
            reason = (error.strerror or str(error)).lower()
            return DeniedError(
                f"{self.host}: access to the socket is denied: {reason}",
                hint="join its group (docker), run this as root, or use a rootless engine",
            )
        return EngineUnreachableError(self.host, error).suggest(
            Remedy("start it (systemctl start docker, or podman system service)"),
            Remedy("specify another with {option}", "daemon-host", unless=("daemon-host",)),
        )


def _create_context(daemon: DaemonOptions, details: TlsDetails) -> ssl.SSLContext:
    """Create a context with the engine's CA certificate and the client certificate."""
    from bundler.registry.tls import contexts  # noqa: PLC0415 - only for TLS

    if daemon.tls_verify:
        context = contexts.create_verifying_context(details)
    else:
        context = contexts.create_unverified_context(details)
    directory = daemon.cert_dir
    if directory is None:
        return context
    try:
        if daemon.tls_verify:
            contexts.check_size(directory / "ca.pem")
            context.load_verify_locations(directory / "ca.pem")
        contexts.load_client_certificate(context, directory / "cert.pem", directory / "key.pem")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a matching certificate and key"
        raise ConfigError(
            f"{directory}: ca.pem, cert.pem and key.pem cannot be used: {reason}",
            hint="specify a directory that contains these three files",
        ) from None
    return context
