"""Decoding of responses that a server or proxy compresses although the client did not request it.

https://www.rfc-editor.org/rfc/rfc9110#name-content-encoding
"""

from __future__ import annotations

import http.client
import zlib
from typing import TYPE_CHECKING

from bundler.errors import LimitError, RefusedRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

_GZIP = 31  # the window size of zlib for gzip with a header
_INPUT_SIZE = 64 * 1024
_MAX_OVERHEAD = 1024 * 1024
"""Maximum excess of the compressed size over the content's size; no compressor adds that much."""


class GzipDecoder:
    """Reader of the content of a compressed body, which may have several members."""

    def __init__(self, receive: Callable[[memoryview], int], subject: str) -> None:
        """``receive`` fills a part of a buffer with bytes of the body, and returns 0 at its end."""
        self._receive = receive
        self._subject = subject
        self._buffer = memoryview(bytearray(_INPUT_SIZE))
        self._member = zlib.decompressobj(_GZIP)
        self._pending = b""
        self._received = 0
        self._decoded = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill a part of ``buffer``; return 0 at the end.

        Raises:
            IncompleteRead: the body is truncated.
            LimitError: the body is endless and contains no content.
            RegistryError: the body is not in the format of gzip.
        """
        while len(buffer):
            if self._member.eof:
                self._pending = self._member.unused_data.lstrip(b"\0")
                if not self._pending and not self._fill():
                    return 0
                self._member = zlib.decompressobj(_GZIP)
            if not self._pending and not self._fill():
                raise http.client.IncompleteRead(b"")
            try:
                data = self._member.decompress(self._pending, len(buffer))
            except zlib.error:
                raise RefusedRequestError(
                    f"{self._subject}: the response is not in the declared encoding (gzip)"
                ) from None
            self._pending = self._member.unconsumed_tail
            if data:
                self._decoded += len(data)
                buffer[: len(data)] = data
                return len(data)
        return 0

    def _fill(self) -> bool:
        """Receive more of the body; return False at its end."""
        count = self._receive(self._buffer)
        self._pending = bytes(self._buffer[:count])
        self._received += count
        if self._received > self._decoded + _MAX_OVERHEAD:
            raise LimitError(f"{self._subject}: the compressed response contains no content")
        return count > 0
