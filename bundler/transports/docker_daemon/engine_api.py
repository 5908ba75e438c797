"""The Engine API of Docker, as far as images go in and out; Podman's service speaks it too.

One request for each connection. An engine is on this machine or behind a tunnel of the user's, so
nothing is sent again: what failed is told.

https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from bundler.config.registry_access import ANY_DETAILS, TlsDetails
from bundler.content.streams.reader import BUFFER_SIZE
from bundler.errors import (
    BundlerError,
    ConfigError,
    DeniedError,
    EngineUnreachableError,
    InvalidReferenceError,
    NotFoundError,
    RegistryError,
)
from bundler.oci.json import strict
from bundler.registry import certificates
from bundler.registry.tls_restrictions import unverified_context, verifying_context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.content.streams.reader import Reader

DEFAULT_HOST = "unix:///var/run/docker.sock"

_PATIENCE = 1800.0  # seconds: an engine may pack a whole image before it sends the first byte
_MAX_ANSWER = 1024 * 1024
_LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class EngineTls:
    """How an engine and its client prove who they are."""

    verify: bool = True
    """Whether the engine has to."""
    directory: Path | None = None
    """Holds ``ca.pem``, an authority beside the system's, and our ``cert.pem`` and ``key.pem``."""
    details: TlsDetails = ANY_DETAILS
    """What TLS may use."""


class Engine:
    """A container engine; for any number of threads.

    Args:
        host: ``unix:///path/of/a/socket``, ``http://host[:port]``, or ``tcp://host:port`` or
            ``https://host[:port]`` with TLS.
        cancellation: cuts every connection when work has to stop.
        tls: what TLS is to be like.

    Raises:
        ConfigError: the files for TLS are not in order.
        InvalidReferenceError: ``host`` is none of these.
    """

    def __init__(self, host: str, cancellation: Cancellation, tls: EngineTls) -> None:
        self.host = host[:200]
        self._cancellation = cancellation
        place = _Place.parse(host)
        self._socket_path, self._address = place.socket, (place.name, place.port)
        self._context = _context(tls) if place.tls else None
        self._details = tls.details

    @contextmanager
    def save(self, image: str) -> Iterator[Reader]:
        """The archive that ``docker save`` would write of ``image``, a name or an id.

        Raises:
            NotFoundError: there is no such image.
            RegistryError: the engine is not there, or fails.
        """
        what = f"{self.host}: image {image}"
        with self._answer(what, "GET", f"/images/{quote(image, safe='/:@')}/get") as answer:
            yield _Body(answer, what, self._cancellation)

    def load(self, archive: Reader, size: int) -> None:
        """Have the engine take all images of an archive of ``size`` bytes.

        Raises:
            RegistryError: it is not there, or does not take them.
        """
        what = f"{self.host}: loading"
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        with self._answer(what, "POST", "/images/load?quiet=1", archive, headers) as answer:
            said = _Body(answer, what, self._cancellation).read(_MAX_ANSWER)
        for line in said.splitlines():
            if text := _member(line, "error"):
                raise RegistryError(f"{self.host}: the engine does not take the image: {text}")

    def has(self, image: str) -> bool:
        """Whether there is such an image, by its name or id.

        Raises:
            RegistryError: the engine is not there, or fails.
        """
        what = f"{self.host}: image {image}"
        path = f"/images/{quote(image, safe='/:@')}/json"
        with suppress(NotFoundError), self._answer(what, "GET", path):
            return True
        return False

    @contextmanager
    def _answer(
        self,
        what: str,
        method: str,
        path: str,
        body: Reader | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask, and hand out an answer that means success."""
        self._cancellation.check()
        with _explained(what, self._cancellation):
            connection = self._connect()
        try:
            with _explained(what, self._cancellation):
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    raise self._failure(answer, what)
            yield answer
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        connection = self._unconnected()
        try:
            if self._socket_path is None:
                connection.connect()
            else:
                connection.sock = _unix_socket(self._socket_path)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from error
        except ssl.SSLError as error:
            raise RegistryError(
                f"{self.host}: TLS failed: {error.reason}",
                hint="name the directory of its ca.pem, and of your cert.pem and key.pem, with "
                "--src-cert-dir or --dest-cert-dir",
            ) from error
        except OSError as error:
            raise self._absent(error) from error
        self._cancellation.on_request(_Cut(connection.sock))
        return connection

    def _unconnected(self) -> http.client.HTTPConnection:
        host, port = self._address
        if self._context is None:
            return http.client.HTTPConnection(host, port, _PATIENCE, blocksize=BUFFER_SIZE)
        return http.client.HTTPSConnection(
            host, port, timeout=_PATIENCE, blocksize=BUFFER_SIZE, context=self._context
        )

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> RegistryError:
        host, port = self._address
        certificate = certificates.fetch_certificate(
            host, port or http.client.HTTPS_PORT, lambda: unverified_context(self._details)
        )
        anchors = "ca.pem in a directory, and name it with --src-cert-dir or --dest-cert-dir"
        return certificates.create_error(error, self.host, host, certificate, anchors=anchors)

    def _absent(self, error: OSError) -> RegistryError:
        if isinstance(error, PermissionError):
            reason = (error.strerror or str(error)).lower()
            return DeniedError(
                f"{self.host}: the socket may not be used: {reason}",
                hint="be a member of its group (docker), or root; or use an engine of your own",
            )
        return EngineUnreachableError(
            self.host,
            error,
            hint="start it (systemctl start docker, or podman system service), or name another "
            "with --src-daemon-host or --dest-daemon-host",
        )

    def _failure(self, answer: http.client.HTTPResponse, what: str) -> BundlerError:
        text = _member(answer.read(_MAX_ANSWER), "message")
        detail = f" ({text})" if text else ""
        if answer.status == http.client.NOT_FOUND:
            return NotFoundError(f"{what}: not found{detail}", hint="docker images lists them")
        return RegistryError(
            f"{what}: the engine answered {answer.status}{detail}", status=answer.status
        )


class _Body:
    """An answer's body as a stream whose failures are explained."""

    def __init__(
        self, answer: http.client.HTTPResponse, what: str, cancellation: Cancellation
    ) -> None:
        self._answer = answer
        self._what = what
        self._cancellation = cancellation

    def read(self, size: int = -1, /) -> bytes:
        with _explained(self._what, self._cancellation):
            return self._answer.read(None if size < 0 else size)

    def readinto(self, buffer: memoryview, /) -> int:
        with _explained(self._what, self._cancellation):
            return self._answer.readinto(buffer)


class _Cut:
    """Ends a connection from a signal handler: no locks, and no error if it is closed already."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def __call__(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def _explained(what: str, cancellation: Cancellation) -> Iterator[None]:
    """A connection that breaks off was cut by the user, or is the engine's failure."""
    try:
        yield
    except TimeoutError:
        raise RegistryError(f"{what}: the engine is silent", temporary=True) from None
    except (OSError, http.client.HTTPException) as error:
        cancellation.check()
        raise RegistryError(
            f"{what}: the connection broke off: {type(error).__name__}", temporary=True
        ) from error
    cancellation.check()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an engine listens; ``name`` and ``port`` are what HTTP wants."""

    name: str
    port: int | None = None
    socket: str | None = None
    tls: bool = False

    @classmethod
    def parse(cls, host: str) -> _Place:
        scheme, _, rest = host.partition("://")
        if scheme == "unix" and rest.startswith("/"):
            return cls("localhost", socket=rest)
        try:
            parts = urlsplit(host)
            plain = parts.path in ("", "/") and not parts.query and "@" not in host
            if scheme in ("http", "https", "tcp") and parts.hostname and plain:
                return cls(parts.hostname, parts.port, tls=scheme != "http")
        except ValueError:
            pass
        raise InvalidReferenceError(
            "the host of a container engine is not understood",
            hint="write unix:///path/of/its/socket, http://host:port or tcp://host:port",
        )


def _context(tls: EngineTls) -> ssl.SSLContext:
    context = (verifying_context if tls.verify else unverified_context)(tls.details)
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
            hint="the directory of an engine's certificates holds these three",
        ) from None
    return context


def _unix_socket(path: str) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(_PATIENCE)
        connected.connect(path)
    except OSError:
        connected.close()
        raise
    return connected


def _member(raw: bytes, name: str) -> str:
    """A text of a JSON object, on one line and without what a terminal would obey."""
    try:
        value = strict.load_object(raw, limit=_MAX_ANSWER)
    except BundlerError:
        return ""
    text = "".join(char if char.isprintable() else " " for char in str(value.get(name) or ""))
    return text.strip()[:_LONGEST_DETAIL]
