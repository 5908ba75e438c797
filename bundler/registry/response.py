"""One answer of a server, whose body is read once and within bounds."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Self

import requests
import urllib3

from bundler.errors import LimitError, RegistryError
from bundler.registry import errors
from bundler.registry.origin import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.cancel import Cancellation

_SLICE = 64 * 1024
_LONGEST_FILL = 0.5
_LONGEST_DOCUMENT = 120.0
_PATIENCE = 60.0
_SLOWEST = 256  # bytes a second over all of the patience; no link that works is slower
_WORTH_READING = 64 * 1024

NETWORK_ERRORS = (
    OSError,
    ValueError,  # a file that another thread closed
    http.client.HTTPException,
    urllib3.exceptions.HTTPError,
    requests.RequestException,
)


class Response:
    """Status, headers and body; a context manager that gives the connection back.

    Not for two threads at once.
    """

    def __init__(
        self, response: requests.Response, *, own: bool, cancellation: Cancellation
    ) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url = response.url
        self.own = own
        """Whether the registry itself answered, not a place that it sent us on to."""
        self._raw = response.raw
        self._cancellation = cancellation
        self._on_close: list[Callable[[], None]] = []
        self._failure: RegistryError | None = None
        self._waited = 0.0
        self._gathered = 0
        # Its file fills a caller's buffer; urllib3 only returns new bytes, at half the speed.
        inner = getattr(response.raw, "_fp", None)
        self._inner = inner if isinstance(inner, http.client.HTTPResponse) else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def challenges(self) -> list[str]:
        """The WWW-Authenticate fields."""
        return list(self._raw.headers.getlist("WWW-Authenticate"))

    @property
    def length(self) -> int | None:
        """The body's size in bytes as the server declared it; None: it did not."""
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and len(text) < 19 else None

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when this is closed."""
        self._on_close.append(callback)

    def read(self, limit: int, subject: str) -> bytes:
        """The whole body.

        Raises:
            LimitError: it is larger than ``limit`` bytes.
            RegistryError: it broke off, or takes too long to come.
        """
        body = self.read_prefix(limit + 1)
        if len(body) > limit:
            raise LimitError(f"{subject}: more than the {limit:,} bytes allowed")
        return body

    def read_prefix(self, limit: int) -> bytes:
        """The body's first bytes, at most ``limit``; raises as ``read`` does."""
        body = bytearray()
        buffer = memoryview(bytearray(min(limit, _SLICE)))
        deadline = time.monotonic() + _LONGEST_DOCUMENT
        while len(body) < limit and (count := self.readinto(buffer[: limit - len(body)])):
            body += buffer[:count]
            if time.monotonic() > deadline:
                raise RegistryError(
                    f"{redact(self.url)}: the answer comes too slowly", temporary=True
                )
        return bytes(body)

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end.

        What arrived before a failure is handed out; the failure is raised by the next call.

        Raises:
            RegistryError: the body broke off; temporary.
        """
        if self._failure is not None:
            raise self._failure
        begun = time.monotonic()
        count = 0
        try:
            while count < len(buffer):
                got = self._receive(buffer[count : count + _SLICE])
                count += got
                if not got or time.monotonic() > begun + _LONGEST_FILL:
                    break
            self._refuse_to_crawl(count, time.monotonic() - begun)
        except NETWORK_ERRORS as error:
            self._cancellation.check()
            self._failure = errors.from_exception(error, self.url)
            self._failure.temporary = True
            if not count:
                raise self._failure from error
        self._cancellation.check()
        return count

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        try:
            if self._failure is None and self._is_short():
                self._raw.read()
                self._raw.release_conn()
            else:
                self._raw.close()
        except NETWORK_ERRORS:
            self._raw.close()
        for callback in self._on_close:
            callback()
        self._on_close.clear()

    def _refuse_to_crawl(self, count: int, seconds: float) -> None:
        """Fail where a server sends just enough not to be silent; only its own time counts."""
        self._gathered += count
        self._waited += seconds
        if self._waited > _PATIENCE:
            if self._gathered < _SLOWEST * self._waited:
                raise TimeoutError
            self._waited = self._gathered = 0

    def _receive(self, buffer: memoryview) -> int:
        """What is there already, or else comes next; a server that drips is not waited for."""
        inner = self._inner
        if inner is None:
            return _put(self._raw.read(len(buffer)), buffer)
        if inner.chunked or not inner.length or inner.isclosed():
            return _put(inner.read1(len(buffer)), buffer)
        count: int = inner.fp.readinto1(buffer[: inner.length])
        inner.length -= count
        # http.client takes an early end for the end.
        if not count and len(buffer):
            raise http.client.IncompleteRead(b"", inner.length)
        return count

    def _is_short(self) -> bool:
        """Whether so little is left that reading it is cheaper than a new connection."""
        if self._inner is None or self._inner.isclosed():
            return True
        return self._inner.length is not None and self._inner.length <= _WORTH_READING


def _put(data: bytes, buffer: memoryview) -> int:
    buffer[: len(data)] = data
    return len(data)
