"""A container engine in this process: the part of Docker's API that transfers images.

Faults are attributes: ``status`` and ``message`` for an error response, ``cut`` for a response that
ends after that many bytes, ``silent`` for a missing response, ``slow`` for a response whose bytes
are sent one by one, ``refuses`` for the reason why nothing is loaded, ``forgets`` for an image that
is lost.
"""

from __future__ import annotations

import hashlib
import io
import json
import socketserver
import tarfile
import tempfile
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


class FakeEngine(FakeServer):
    """An engine at ``host``; ``images`` are archives of ``docker save``, by name."""

    def __init__(self, *, tcp: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.images: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.status = 200
        self.message = ""
        self.refuses = ""
        self.forgets = False
        self.cut: int | None = None
        self.released = threading.Event()
        self.silent = False
        self.slow = False
        # The path of a socket is limited to about 100 bytes.
        self._home = tempfile.TemporaryDirectory()
        self.socket = Path(self._home.name) / "engine.sock"
        self._server: _TcpServer | _UnixServer
        if tcp or tls:
            self._server = _TcpServer(("127.0.0.1", 0), _Handler)
            scheme = "tcp" if tls else "http"
            self.host = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
            if tls:
                self._server.socket = tls.wrap_socket(
                    self._server.socket, server_side=True, do_handshake_on_connect=False
                )
        else:
            self._server = _UnixServer(str(self.socket), _Handler)
            self.host = f"unix://{self.socket}"
        self._server.engine = self

    def add(self, members: Mapping[str, bytes], *names: str) -> None:
        """Store an image under ``names``, and under its config's digest."""
        (entry,) = json.loads(members["manifest.json"])
        identity = "sha256:" + hashlib.sha256(members[entry["Config"]]).hexdigest()
        for name in (*names, identity):
            self.images[name] = _pack(members)

    def load(self, archive: bytes) -> None:
        """Store every image of an archive."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            members = {
                member.name: opened.extractfile(member).read()
                for member in opened
                if member.isfile()
            }
        for entry in json.loads(members["manifest.json"]):
            content = {name: members[name] for name in (entry["Config"], *entry["Layers"])}
            image = content | {"manifest.json": json.dumps([entry]).encode()}
            self.add(
                image, *(name.removeprefix("docker.io/library/") for name in entry["RepoTags"])
            )

    def stop(self) -> None:
        """Stop the server, and release the requests that wait."""
        self.released.set()
        super().stop()
        self._home.cleanup()


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    engine: FakeEngine


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    engine: FakeEngine

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients that disconnect are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _UnixServer | _TcpServer

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        engine = self._begun()
        path = urlsplit(self.path).path
        name, _, verb = unquote(path.removeprefix("/images/")).rpartition("/")
        if engine.silent:
            engine.released.wait()
            return
        if engine.status != 200:
            self._json(engine.status, {"message": engine.message})
        elif name not in engine.images:
            self._json(404, {"message": f"no such image: {name}"})
        elif verb == "json":
            self._json(200, {"Id": "sha256:"})
        else:
            self._chunked(engine.images[name], engine.cut)

    def do_POST(self) -> None:
        engine = self._begun()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if engine.silent:
            engine.released.wait()
            return
        if engine.refuses:
            self._json(200, {"errorDetail": {"message": engine.refuses}, "error": engine.refuses})
            return
        if not engine.forgets:
            engine.load(body)
        self._json(200, {"stream": "Loaded image: app:1\n"})

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _begun(self) -> FakeEngine:
        self.close_connection = True
        self.server.engine.requests.append(f"{self.command} {self.path}")
        return self.server.engine

    def _json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunked(self, data: bytes, cut: int | None) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n" % len(data))
        if self.server.engine.slow:
            with suppress(OSError):
                for byte in data:
                    self.wfile.write(bytes([byte]))
                    if self.server.engine.released.wait(0.05):
                        return
        self.wfile.write(data[:cut])
        if cut is None:
            self.wfile.write(b"\r\n0\r\n\r\n")


def _pack(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
