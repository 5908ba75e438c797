"""Listener on loopback, to which a provider redirects the browser with the code of a login.

Every program on this machine can send requests to it. Those without the state of the login are
refused, and the listener keeps waiting.
"""

from __future__ import annotations

import hmac
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from types import TracebackType

    from bundler.cancel import Cancellation

_PATH = "/auth/callback"
_MAX_CODE = 4096  # characters
_INTERVAL = 0.1  # seconds between checks of the cancellation
_ERROR = re.compile(r"[a-z_]{1,40}")
_PAGE = b"<!DOCTYPE html><title>Login</title><p>You are logged in, and can close this page."
_REFUSAL = b"<!DOCTYPE html><title>Login</title><p>The login failed. Return to the terminal."


@dataclass(frozen=True, slots=True)
class Answer:
    """The parameters with which the browser was redirected; one of them is set."""

    code: str | None = field(default=None, repr=False)
    error: str | None = None


class RedirectListener(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1; a context manager. It accepts one answer."""

    daemon_threads = True
    request_queue_size = 8

    def __init__(self, state: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self._answered = threading.Event()
        self._answer: Answer | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The URL to which the provider has to redirect the browser."""
        return f"http://localhost:{self.server_address[1]}{_PATH}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(_INTERVAL,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
        self.server_close()

    def accept(self, answer: Answer) -> None:
        """Keep the first answer."""
        with self._lock:
            self._answer = self._answer or answer
        self._answered.set()

    def wait(self, cancellation: Cancellation, seconds: float) -> Answer | None:
        """Return the answer; None if there is none within ``seconds``.

        Raises:
            CancelledError: the run is cancelled.
        """
        left = seconds
        while not self._answered.wait(min(_INTERVAL, max(left, 0))):
            cancellation.check()
            left -= _INTERVAL
            if left <= 0:
                return None
        return self._answer

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that ends its connection, or sends no complete request."""


class _Handler(BaseHTTPRequestHandler):
    server: RedirectListener
    timeout = 2  # seconds in which a client must send its request

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        given = {
            name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()
        }
        is_known = hmac.compare_digest(given.get("state", "").encode(), self.server.state.encode())
        if parts.path != _PATH or not is_known:
            self._respond(400, _REFUSAL)
            return
        code = given.get("code")
        if code is not None and len(code) <= _MAX_CODE:
            self._respond(200, _PAGE)
            self.server.accept(Answer(code))
            return
        error = given.get("error", "")
        self._respond(200, _REFUSAL)
        self.server.accept(Answer(error=error if _ERROR.fullmatch(error) else "invalid_response"))

    def _respond(self, status: int, page: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's name
        """Print nothing: the request contains the code."""
