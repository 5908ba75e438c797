"""Client of the Docker Engine API, which Podman's service also implements.

Each request uses its own connection. Requests are not retried, because an engine runs on this
machine or behind a tunnel that the user set up.

https://docs.docker.com/reference/api/engine/version/v1.41/
"""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from bundler.content.streams import new_buffer, read_chunks
from bundler.errors import (
    BundlerError,
    LimitError,
    NotFoundError,
    RefusedRequestError,
    RegistryError,
    StalledError,
)
from bundler.oci.json import strict
from bundler.registry.exchange.response_head import HeadTooLargeError
from bundler.registry.exchange.watchdog import Exchange, ExchangeLimits, Phase
from bundler.transports.docker_daemon.connection import EngineConnector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.content.streams import Reader
    from bundler.ports import OpenOptions
    from bundler.transports.docker_daemon.transport import DaemonOptions

LIMITS = ExchangeLimits(response=600.0, stall=600.0)
"""Limits of a request. Before its response begins, an engine may archive or unpack a complete
image, for which a longer time limit of the run allows more time."""

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
        response = max(LIMITS.response, options.time_limit or 0)
        self._limits = replace(LIMITS, response=response, operation=response)
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
        with self._request(subject, "GET", path) as (response, exchange):

            def read_response() -> Iterator[memoryview]:
                buffer = new_buffer()
                while True:
                    with self._translate_errors(subject, exchange):
                        count = response.readinto(buffer)
                    if not count:
                        return
                    exchange.advance(count)
                    exchange.pause()
                    yield buffer[:count]
                    exchange.resume()

            yield read_response()

    def load(self, archive: Reader, size: int) -> None:
        """Load all images of an archive of ``size`` bytes.

        Raises:
            RegistryError: the engine cannot be reached, or rejects an image.
        """
        subject = f"{self.host}: loading"
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        with (
            self._request(subject, "POST", "/images/load?quiet=1", archive, headers) as (
                response,
                exchange,
            ),
            self._translate_errors(subject, exchange),
        ):
            progress = response.read(_MAX_RESPONSE)
        for line in progress.splitlines():
            if text := _read_member(line, "error"):
                raise RefusedRequestError(f"{self.host}: the engine rejected the image: {text}")

    def has(self, image: str) -> bool:
        """Return whether the engine has ``image``, a name or an ID.

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
    ) -> Iterator[tuple[http.client.HTTPResponse, Exchange]]:
        """Send a request; yield its response if it is successful, else raise an error."""
        self._cancellation.check()
        with ExitStack() as stack:
            exchange = Exchange(self._limits)
            stack.callback(exchange.finish)
            with self._translate_errors(subject, exchange):
                connection = stack.enter_context(closing(self._connector.connect(exchange)))
                opened = connection.sock

                def abort() -> None:  # safe in a signal handler, and after the connection is closed
                    with suppress(OSError):
                        opened.shutdown(socket.SHUT_RDWR)

                self._cancellation.on_request(abort)
                exchange.enter(Phase.SENDING)
                chunks = None if body is None else exchange.watch_sending(read_chunks(body))
                connection.request(method, path, chunks, headers or {})
                exchange.enter(Phase.RESPONSE)
                response = connection.getresponse()
                exchange.enter(Phase.BODY)
                if response.status != http.client.OK:
                    text = _read_member(response.read(_MAX_RESPONSE), "message")
                    detail = f" ({text})" if text else ""
                    if response.status == http.client.NOT_FOUND:
                        hint = "list the images with: docker images"
                        raise NotFoundError(f"{subject}: not found{detail}", hint=hint)
                    kind = RefusedRequestError if 400 <= response.status < 500 else RegistryError
                    problem = f"{subject}: the engine responded {response.status}{detail}"
                    raise kind(problem, status=response.status)
            yield response, exchange

    @contextmanager
    def _translate_errors(self, subject: str, exchange: Exchange) -> Iterator[None]:
        """Convert a connection failure to a ``CancelledError`` or a ``RegistryError``."""
        failure: Exception | None = None
        try:
            yield
        except (OSError, ValueError, http.client.HTTPException) as error:
            failure = error  # http.client raises ValueError for the negative size of a chunk
        self._cancellation.check()
        if exchange.expired is not None:
            _, limit = exchange.expired
            raise StalledError(
                f"{subject}: no progress of the engine within {limit:g} s",
                host=self.host,
                limit=limit,
                hint="check the engine, for example with: docker info; or allow it more time, for"
                " example with --command-timeout 1h",
            ) from failure
        if isinstance(failure, HeadTooLargeError):
            raise LimitError(f"{subject}: {failure}") from None
        if failure is not None:
            closed = isinstance(failure, ConnectionError | ValueError | http.client.HTTPException)
            reason = "was closed" if closed else f"failed: {failure}"
            raise RegistryError(f"{subject}: the connection {reason}", temporary=True) from failure


def _read_member(raw: bytes, name: str) -> str:
    """Return a member of a JSON object as one printable line; empty if it is absent."""
    try:
        value = strict.load_object(raw, limit=_MAX_RESPONSE)
    except BundlerError:
        return ""
    text = "".join(char if char.isprintable() else " " for char in str(value.get(name) or ""))
    return text.strip()[:_MAX_DETAIL]
