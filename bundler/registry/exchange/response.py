"""HTTP responses, whose bodies are read once with size and time limits, and blob streams."""

from __future__ import annotations

import http.client
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import requests
import urllib3

from bundler.errors import LimitError, RefusedRequestError, RegistryError, SizeMismatchError
from bundler.oci.manifest import MAX_MANIFEST
from bundler.oci.media_types import parse_content_type
from bundler.registry.auth.origin import redact
from bundler.registry.exchange.content_encoding import GzipDecoder
from bundler.registry.exchange.watchdog import Exchange, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.cancel import Cancellation

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_CHUNK_SIZE = 64 * 1024
_MAX_FILL = 0.5  # seconds
_MAX_DOCUMENT_TIME = 120.0  # seconds
_MAX_DRAIN = 64 * 1024
_DRAIN_TIMEOUT = 2.0  # seconds

NETWORK_ERRORS = (
    OSError,
    ValueError,  # raised if another thread closed the file
    http.client.HTTPException,
    urllib3.exceptions.HTTPError,
    requests.RequestException,
)


class Response:
    """Status, headers and body of a response; not thread-safe.

    As a context manager, it releases the connection on exit.
    """

    def __init__(
        self,
        response: urllib3.BaseHTTPResponse,
        url: str,
        exchange: Exchange,
        *,
        own: bool,
        cancellation: Cancellation,
        create_error: Callable[[Exception], RegistryError],
    ) -> None:
        """``create_error`` creates the error for a failure to read the body."""
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self.own = own
        """Whether the registry sent the response, rather than a host that it redirected to."""
        self._raw = response
        self._exchange = exchange
        self._create_error = create_error
        self._cancellation = cancellation
        self._on_close: list[Callable[[], None]] = []
        self._failure: RegistryError | None = None
        # Reading directly into the caller's buffer is twice as fast as reading through urllib3.
        inner = getattr(response, "_fp", None)
        self._inner = inner if isinstance(inner, http.client.HTTPResponse) else None
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        self._decoder = None
        if encoding in ("gzip", "x-gzip"):
            self._decoder = GzipDecoder(self._receive, redact(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def challenges(self) -> list[str]:
        """The values of all WWW-Authenticate fields."""
        return list(self._raw.headers.getlist("WWW-Authenticate"))

    @property
    def redirect(self) -> str | None:
        """The Location of a redirect, absolute or relative; None if it is not a redirect."""
        return self.headers.get("Location") if self.status in _REDIRECTS else None

    @property
    def media_type(self) -> str:
        """The media type in Content-Type, without parameters; empty if it is not declared."""
        return parse_content_type(self.headers.get("Content-Type", ""))

    @property
    def length(self) -> int | None:
        """The declared size of the body in bytes; None if it is not declared."""
        return None if self.is_encoded else self._declared_length

    @property
    def is_encoded(self) -> bool:
        """Whether the server compressed the body, which is decoded when it is read."""
        return self._decoder is not None

    def keep_encoding(self, size: int | None, offset: int = 0) -> None:
        """Disable decoding if the body has the size of the blob, and thus is the blob itself.

        Some object stores declare the compression of a layer as the encoding of the response.
        ``size`` is that of the blob, and ``offset`` the beginning of the requested range.
        """
        start = offset if self.status == 206 else 0
        if size is not None and self._declared_length == size - start:
            self._decoder = None

    @property
    def _declared_length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and len(text) < 19 else None

    def on_close(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the response is closed."""
        self._on_close.append(callback)

    def read(self, limit: int, subject: str) -> bytes:
        """Read the whole body.

        Raises:
            LimitError: the body is larger than ``limit`` bytes.
            RegistryError: the body is truncated, or the transfer is too slow.
        """
        body = self.read_prefix(limit + 1)
        if len(body) > limit:
            raise LimitError(f"{subject}: more than the {limit:,} bytes allowed")
        return body

    def read_prefix(self, limit: int) -> bytes:
        """Read at most ``limit`` bytes of the body. Raises RegistryError like ``read``."""
        body = bytearray()
        buffer = memoryview(bytearray(min(limit, _CHUNK_SIZE)))
        deadline = time.monotonic() + _MAX_DOCUMENT_TIME
        while len(body) < limit and (count := self.readinto(buffer[: limit - len(body)])):
            body += buffer[:count]
            if time.monotonic() > deadline:
                raise RegistryError(f"{redact(self.url)}: transfer too slow", temporary=True)
        return bytes(body)

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Bytes that were received before a failure are returned; the next call raises the error.

        Raises:
            RegistryError: the body is truncated, or the transfer is too slow; temporary, unless the
                operation has reached its limit.
        """
        if self._failure is not None:
            raise self._failure
        begun = time.monotonic()
        count = 0
        read = self._decoder.readinto if self._decoder else self._receive
        self._exchange.resume()
        try:
            while count < len(buffer):
                got = read(buffer[count : count + _CHUNK_SIZE])
                self._exchange.advance(got)
                count += got
                if not got or time.monotonic() > begun + _MAX_FILL:
                    break
            if self._exchange.expired is not None:
                raise TimeoutError
        except NETWORK_ERRORS as error:
            self._cancellation.check()
            self._failure = self._create_error(error)
            # Reopening the body would exceed the limit of the operation at once.
            self._failure.temporary = not self._exchange.has_ended_operation
            if not count:
                raise self._failure from error
        finally:
            self._exchange.pause()
        self._cancellation.check()
        return count

    def close(self) -> None:
        """Return the connection to the pool if little of the body is unread, else close it."""
        inner = self._inner
        is_short = (
            inner is None
            or inner.isclosed()
            or (inner.length is not None and inner.length <= _MAX_DRAIN)
        )
        try:
            if self._failure is None and is_short:
                self._exchange.enter(Phase.BODY, _DRAIN_TIMEOUT)
                self._raw.read()
                self._exchange.finish()
                self._raw.release_conn()
            else:
                self._raw.close()
        except NETWORK_ERRORS:
            self._raw.close()
        self._exchange.finish()
        for callback in self._on_close:
            callback()
        self._on_close.clear()

    def _receive(self, buffer: memoryview) -> int:
        """Read the bytes of one system call, without waiting for a full buffer."""
        inner = self._inner
        if inner is None:
            return _copy(self._raw.read(len(buffer)), buffer)
        if inner.chunked or not inner.length or inner.isclosed():
            return _copy(inner.read1(len(buffer)), buffer)
        count: int = inner.fp.readinto1(buffer[: inner.length])
        inner.length -= count
        # http.client does not detect a truncated body.
        if not count and len(buffer):
            raise http.client.IncompleteRead(b"", inner.length)
        return count


def _copy(data: bytes, buffer: memoryview) -> int:
    buffer[: len(data)] = data
    return len(data)


@dataclass(slots=True)
class BlobStream:
    """Reader of a blob in a response; detects truncation.

    The owner of the response closes it.
    """

    response: Response
    subject: str
    remaining: int | None
    """Number of remaining bytes; None if the size is unknown."""
    declared: bool = field(init=False)
    """Whether the headers delimit the body, so that ``Response`` detects truncation."""

    def __post_init__(self) -> None:
        chunked = "chunked" in self.response.headers.get("Transfer-Encoding", "").lower()
        delimited = self.response.length is not None or self.response.is_encoded
        self.declared = delimited or chunked

    @classmethod
    def from_offset(
        cls, response: Response, subject: str, size: int | None, offset: int
    ) -> BlobStream:
        """Return a stream of the bytes from ``offset`` on, of a blob of ``size`` bytes.

        If the server ignored the range, the bytes before ``offset`` are read and discarded.

        Raises:
            RefusedRequestError: the server sent another range.
        """
        if response.status == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != offset:
                raise RefusedRequestError(
                    f"{subject}: wrong range in the response (expected from byte {offset:,})"
                )
        stream = cls(response, subject, None if size is None else size - offset)
        if response.status != 206:
            stream.skip(offset)
        return stream

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        count = self.response.readinto(buffer)
        if self.remaining is not None:
            if not count and len(buffer) and self.remaining > 0 and not self.declared:
                raise RegistryError(f"{self.subject}: truncated stream", temporary=True)
            self.remaining -= count
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, or all remaining bytes.

        At most one byte beyond the expected end is returned, which suffices to detect excess data.
        """
        if size < 0:
            limit = MAX_MANIFEST if self.remaining is None else self.remaining + 1
            return self.response.read(limit, self.subject)
        buffer = bytearray(size)
        count = self.readinto(memoryview(buffer))
        return bytes(buffer[:count])

    def skip(self, count: int) -> None:
        """Discard the first ``count`` bytes, which are not part of ``remaining``."""
        self.remaining = None if self.remaining is None else self.remaining + count
        buffer = memoryview(bytearray(min(count, 1024 * 1024)))
        skipped = 0
        while skipped < count:
            got = self.readinto(buffer[: count - skipped])
            if not got:
                raise SizeMismatchError(self.subject, expected=count, got=f"only {skipped}")
            skipped += got
