"""Responses of ``http.client`` whose heads are limited in total.

``http.client`` limits each line and the number of fields, which permits heads of 6.5 MB. It does
not limit interim responses, and takes all of them but 100 for the answer. Heads of registries have
a few kilobytes; the largest fields are signed URLs and tokens.
"""

from __future__ import annotations

import http.client
from typing import IO

MAX_HEAD = 256 * 1024
"""Maximum size in bytes of the head of a response, together with its interim responses."""

_INTERIM = range(102, 200)  # http.client skips 100 itself, and 101 ends HTTP
_MAX_LINE = 65536


class HeadTooLargeError(http.client.HTTPException):
    """A head with more bytes or fields than allowed."""

    def __str__(self) -> str:
        return f"response head too large (expected at most {MAX_HEAD:,} bytes and 100 fields)"


class BoundedResponse(http.client.HTTPResponse):
    """Response whose head is limited."""

    def begin(self) -> None:
        """Read the head.

        Raises:
            HeadTooLargeError: it is too large.
        """
        file = self.fp
        self.fp = _BoundedLines(file)  # type: ignore[assignment]  # http.client only reads lines
        try:
            super().begin()
        except http.client.HTTPException as error:
            # Too many fields raise the base class itself.
            if type(error) in (http.client.HTTPException, http.client.LineTooLong):
                raise HeadTooLargeError from None
            raise
        finally:
            if self.fp is not None:
                self.fp = file

    def _read_status(self) -> tuple[str, int, str]:
        """Read the status line of the answer; skip interim responses.

        https://www.rfc-editor.org/rfc/rfc9110#section-15.2
        """
        status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]  # not in the stub
        while status[1] in _INTERIM:
            while self.fp.readline(_MAX_LINE) not in (b"\r\n", b"\n", b""):
                pass
            status = super()._read_status()  # type: ignore[misc]
        return status


class _BoundedLines:
    """The lines of a head, up to ``MAX_HEAD`` bytes in total."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = MAX_HEAD
        self.close = file.close

    def readline(self, limit: int = -1) -> bytes:
        """Read a line as ``file`` does."""
        line = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise HeadTooLargeError
        return line
