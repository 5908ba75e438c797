"""One connection of a client: reads the heads of requests, and sends the responses.

A client that sends or receives too slowly is disconnected, so it holds its thread only for a
limited time.
"""

from __future__ import annotations

import errno
import io
import os
import select
import ssl
import time
from contextlib import ExitStack
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from bundler.bundle.serving.answers import answer
from bundler.bundle.serving.exchange import BlobPart, Request, ServerResponse, status_error
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import read_chunks
from bundler.errors import BundlerError, SizeMismatchError

if TYPE_CHECKING:
    import socket

    from bundler.bundle.serving.content import StoredBlob
    from bundler.bundle.serving.server import RegistryServer

_MAX_LINE = 65_536  # of http.server
_MEDIUM_ERRORS = (errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO)
"""The errors of ``sendfile`` that concern the file, and not the client."""
_STEP = 1 << 20
"""The bytes that a client has to receive within the time limit."""


class RequestHeadTooLargeError(Exception):
    """The head of a request has more bytes than allowed."""


class _Heads(io.RawIOBase):
    """The bytes from a client, with a deadline and a maximum size for each head."""

    def __init__(self, connection: socket.socket, limit: int, seconds: float) -> None:
        self._connection = connection
        self._limit = limit
        self._seconds = seconds
        self.received = 0
        """The number of bytes of the current head."""
        self._deadline = 0.0

    def expect(self) -> None:
        """Start the time and the count for the next head."""
        self.received = 0
        self._deadline = time.monotonic() + self._seconds

    def readable(self) -> bool:
        """Whether the stream can be read: always."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Receive bytes.

        Raises:
            TimeoutError: the deadline has passed.
            HeadTooLargeError: the head is too large.
        """
        self._connection.settimeout(_get_time_left(self._deadline))
        count = self._connection.recv_into(buffer)
        self.received += count
        if self.received > self._limit:
            raise RequestHeadTooLargeError
        return count


class Connection(BaseHTTPRequestHandler):
    """Handler of one connection, in its own thread."""

    server: RegistryServer
    protocol_version = "HTTP/1.1"
    server_version = "airbundle"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Prepare the streams of the connection."""
        super().setup()
        limits = self.server.limits
        self._heads = _Heads(self.connection, limits.head_bytes, limits.head_seconds)
        self.rfile = io.BufferedReader(self._heads)

    def handle_one_request(self) -> None:
        """Read the head of a request and send the response."""
        self.close_connection = True
        self.raw_requestline, self.requestline, self.command = b"", "", ""
        self._heads.expect()
        try:
            with self.server.waiting(self.connection):
                self.raw_requestline = self.rfile.readline(_MAX_LINE + 1)
                if not self.raw_requestline or not self.parse_request():
                    return
        except RequestHeadTooLargeError:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        except TimeoutError:
            if self._heads.received:
                self.send_error(HTTPStatus.REQUEST_TIMEOUT)
            return
        # Proxies could read another request, see RFC 9112, sections 3.2 and 6.1.
        hosts = len(self.headers.get_all("host", []))
        lengths = len(self.headers.get_all("content-length", []))
        has_wrong_host = hosts > 1 or (hosts == 0 and self.request_version != "HTTP/1.0")
        has_both = lengths == 1 and "transfer-encoding" in self.headers
        if has_wrong_host or lengths > 1 or has_both:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            self.close_connection = True  # the body is not read
        request = Request(self.command, self.path, headers)
        server = self.server
        self._send(answer(request, server.content, server.users, is_encrypted=server.is_encrypted))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - http.server's
        """Refuse a request that is not valid, and close the connection."""
        self.close_connection = True
        self._send(status_error(code, "UNSUPPORTED", HTTPStatus(code).phrase))

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _send(self, response: ServerResponse) -> None:
        body = response.body
        if isinstance(body, BlobPart):
            if self.command == "HEAD":
                self._send_bytes(self._format_head(response, body.length))
            else:
                self._send_blob(response, body)
            return
        size = None if response.status == HTTPStatus.NOT_MODIFIED else len(body)
        head = self._format_head(response, size)
        self._send_bytes(head if self.command == "HEAD" else head + body)

    def _format_head(self, response: ServerResponse, size: int | None) -> bytes:
        """Return the head of a response with a body of ``size`` bytes; None: without a length."""
        headers = {
            "Date": self.date_time_string(),
            "Server": self.server_version,
            "Docker-Distribution-API-Version": "registry/2.0",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close" if self.close_connection else "keep-alive",
            **response.headers,
        }
        if size is not None:
            headers["Content-Length"] = str(size)
        lines = [f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _send_bytes(self, data: bytes | memoryview) -> None:
        rest, deadline = memoryview(data), self._start_step()
        while rest:
            self.connection.settimeout(_get_time_left(deadline))
            rest = rest[self.connection.send(rest) :]

    def _start_step(self) -> float:
        """Return the deadline for the next MiB, or less, that the client has to receive."""
        return time.monotonic() + self.server.limits.stall_seconds

    def _send_blob(self, response: ServerResponse, part: BlobPart) -> None:
        """Open the file of a blob, compare its size, and send a part of it.

        Its digest is not computed here: every client does that.
        """
        blob = part.blob
        with ExitStack() as stack:
            try:
                reader = stack.enter_context(blob.source.open(blob.node, part.start))
                if isinstance(reader, RegularFile) and reader.size != blob.size:
                    got = f"{reader.size} bytes"
                    raise SizeMismatchError(str(reader.path), expected=blob.size, got=got)
            except BundlerError as error:
                self.server.report(error)
                problem = "the blob cannot be read from the bundle"
                self._send(status_error(HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN", problem))
                return
            self._send_bytes(self._format_head(response, part.length))
            if isinstance(reader, RegularFile) and not isinstance(self.connection, ssl.SSLSocket):
                self._send_file(reader, part)
                return
            left = part.length
            for chunk in read_chunks(reader, left) if left else ():
                self._send_bytes(chunk[:left])
                left = max(0, left - len(chunk))
                if left == 0:
                    return
            if left:
                raise _create_short_error(blob, left)

    def _send_file(self, file: RegularFile, part: BlobPart) -> None:
        """Let the kernel send a part of a file.

        Raises:
            TimeoutError: the client received less than a MiB in the time for it.
            SizeMismatchError: the file has become shorter.
            MediumError: the medium cannot be read.
        """
        target, source = self.connection.fileno(), file.fileno()
        position, end = part.start, part.start + part.length
        writable = select.poll()
        writable.register(target, select.POLLOUT)
        self.connection.setblocking(False)
        while position < end:
            step_end, deadline = min(position + _STEP, end), self._start_step()
            while position < step_end:
                if not writable.poll(_get_time_left(deadline) * 1000):
                    raise TimeoutError
                try:
                    sent = os.sendfile(target, source, position, step_end - position)
                except BlockingIOError:
                    continue
                except OSError as error:
                    if error.errno in _MEDIUM_ERRORS:
                        raise to_bundler_error(error, file.path, "cannot read") from error
                    raise
                if sent == 0:
                    raise _create_short_error(part.blob, end - position)
                position += sent


def _get_time_left(deadline: float) -> float:
    """Return the seconds until ``deadline``; raise TimeoutError if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _create_short_error(blob: StoredBlob, missing: int) -> SizeMismatchError:
    got = f"{missing} bytes less"
    return SizeMismatchError(f"{blob.node.digest}", expected=blob.size, got=got)
