"""Client of the Docker Engine API, which Podman's service also implements.

Each request uses its own connection. Requests are not retried, because an engine runs on this
machine or behind a tunnel that the user set up.

https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import http.client
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

from bundler.content.streams import new_buffer
from bundler.errors import BundlerError, NotFoundError, RegistryError
from bundler.oci.json import strict
from bundler.transports.docker_daemon.connection import EngineConnector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.cancel import Cancellation
    from bundler.content.streams import Reader
    from bundler.ports import OpenOptions
    from bundler.transports.docker_daemon.transport import DaemonOptions

_MAX_RESPONSE = 1024 * 1024
_MAX_DETAIL = 300


class Engine:
    """A container engine. Thread-safe.

    Args:
        daemon: the address, and the files for TLS.
        options: the cancellation, which closes all connections, and the TLS settings.

    Raises:
        ConfigError: the files for TLS cannot be used.
        InvalidReferenceError: the address is invalid.
    """

    def __init__(self, daemon: DaemonOptions, options: OpenOptions) -> None:
        self._connector = EngineConnector(daemon, options.load_settings)
        self._cancellation = options.cancellation
        self.host = self._connector.host
        """The host, for messages."""

    @contextmanager
    def save(self, image: str) -> Iterator[Iterator[memoryview]]:
        """Open the archive of ``image``, a name or an ID, as ``docker save`` writes it.

        Each chunk is valid until the next one is requested.

        Raises:
            NotFoundError: there is no such image.
            RegistryError: the engine cannot be reached, or fails.
        """
        subject = f"{self.host}: image {image}"
        path = f"/images/{quote(image, safe='/:@')}/get"
        with self._request(subject, "GET", path) as response:

            def read_chunks() -> Iterator[memoryview]:
                buffer = new_buffer()
                while True:
                    with _translate_errors(subject, self._cancellation):
                        count = response.readinto(buffer)
                    if not count:
                        return
                    yield buffer[:count]

            yield read_chunks()

    def load(self, archive: Reader, size: int) -> None:
        """Load all images of an archive of ``size`` bytes.

        Raises:
            RegistryError: the engine cannot be reached, or rejects an image.
        """
        subject = f"{self.host}: loading"
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        with (
            self._request(subject, "POST", "/images/load?quiet=1", archive, headers) as response,
            _translate_errors(subject, self._cancellation),
        ):
            progress = response.read(_MAX_RESPONSE)
        for line in progress.splitlines():
            if text := _read_member(line, "error"):
                raise RegistryError(f"{self.host}: the engine rejected the image: {text}")

    def has(self, image: str) -> bool:
        """Report whether the engine has ``image``, a name or an ID.

        Raises:
            RegistryError: the engine cannot be reached, or fails.
        """
        path = f"/images/{quote(image, safe='/:@')}/json"
        with suppress(NotFoundError), self._request(f"{self.host}: image {image}", "GET", path):
            return True
        return False

    @contextmanager
    def _request(
        self,
        subject: str,
        method: str,
        path: str,
        body: Reader | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request; yield its response if it is successful, else raise an error."""
        self._cancellation.check()
        with _translate_errors(subject, self._cancellation):
            connection = self._connector.connect()
            opened = connection.sock

            def abort() -> None:  # safe in a signal handler, and after the connection is closed
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

            self._cancellation.on_request(abort)
        try:
            with _translate_errors(subject, self._cancellation):
                connection.request(method, path, body, headers or {})
                response = connection.getresponse()
                if response.status != http.client.OK:
                    text = _read_member(response.read(_MAX_RESPONSE), "message")
                    detail = f" ({text})" if text else ""
                    if response.status == http.client.NOT_FOUND:
                        raise NotFoundError(
                            f"{subject}: not found{detail}",
                            hint="list the images with: docker images",
                        )
                    raise RegistryError(
                        f"{subject}: the engine responded {response.status}{detail}",
                        status=response.status,
                    )
            yield response
        finally:
            connection.close()


@contextmanager
def _translate_errors(subject: str, cancellation: Cancellation) -> Iterator[None]:
    """Convert a connection failure to a ``CancelledError`` or a ``RegistryError``."""
    try:
        yield
    except TimeoutError:
        raise RegistryError(f"{subject}: the engine does not respond", temporary=True) from None
    except (OSError, http.client.HTTPException) as error:
        cancellation.check()
        raise RegistryError(
            f"{subject}: the connection failed: {type(error).__name__}", temporary=True
        ) from error
    cancellation.check()


def _read_member(raw: bytes, name: str) -> str:
    """Return a member of a JSON object as one printable line; empty if it is absent."""
    try:
        value = strict.load_object(raw, limit=_MAX_RESPONSE)
    except BundlerError:
        return ""
    text = "".join(char if char.isprintable() else " " for char in str(value.get(name) or ""))
    return text.strip()[:_MAX_DETAIL]
