"""The server: connections, deadlines, limits, TLS, and content from a medium that lies."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bundler.bundle.serving.password_file import PasswordFile
from bundler.bundle.serving.server import Limits, RegistryServer
from bundler.cancel import Cancellation
from bundler.errors import CancelledError, UsageError
from bundler.events import WarningIssued
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.bundle.serving.content import ServedContent
    from bundler.events import Event
    from tests.bundle.serving.conftest import OpenBundles

LARGE = os.urandom(3 << 20)
REQUEST = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Running:
    """A server in a thread; ``events`` are those that it emitted."""

    def __init__(self, server: RegistryServer, events: list[Event]) -> None:
        self.server = server
        self.events = events
        self.address = ("127.0.0.1", int(server.server_address[1]))

    def get(self, target: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, headers=named)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def exchange(self, *sent: bytes, pause: float = 0) -> bytes:
        """Send bytes with pauses, and return all that the server sends before it disconnects."""
        received = bytearray()
        with socket.create_connection(self.address, timeout=10) as client:
            with suppress(ConnectionError):
                for part in sent:
                    client.sendall(part)
                    time.sleep(pause)
            with suppress(ConnectionResetError):
                while data := client.recv(65536):
                    received += data
        return bytes(received)


@contextmanager
def serve(content: ServedContent, **options: Any) -> Iterator[Running]:
    events: list[Event] = []
    cancellation = Cancellation()
    options.setdefault("limits", Limits(head_seconds=0.3, stall_seconds=0.3))
    with RegistryServer(
        "127.0.0.1", 0, content, cancellation=cancellation, emit=events.append, **options
    ) as server:
        ended: list[BaseException] = []

        def run() -> None:
            try:
                server.run()
            except CancelledError as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield Running(server, events)
        finally:
            cancellation.request()
            thread.join(10)
            assert ended


@pytest.fixture
def large() -> images.Image:
    return images.image(images.layer({"large": LARGE}, compression="tar"))


@pytest.fixture(params=["oci", "dir"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path, large: images.Image) -> Path:
    named = {"registry.corp:5000/large:1": large}
    return bundles.write(tmp_path / "bundle", named, form=request.param)


@pytest.fixture
def running(bundle: Path, open_bundles: OpenBundles) -> Iterator[Running]:
    with serve(open_bundles(bundle)) as started:
        yield started


def test_blobs_and_ranges_are_sent(running: Running, large: images.Image):
    blob = large.blobs[1]
    target = f"/v2/large/blobs/{blob.digest}"
    assert running.get(target) == (200, blob.data)
    assert running.get(target, range="bytes=1000-2000000") == (206, blob.data[1000:2000001])
    assert running.get(target, "HEAD") == (200, b"")
    assert running.get(target, range=f"bytes={len(blob.data)}-") == (416, b"")


def test_connections_are_reused(running: Running, large: images.Image):
    connection = http.client.HTTPConnection(*running.address, timeout=10)
    targets = [
        "/v2/",
        "/v2/large/manifests/1",
        "/absent",
        f"/v2/large/blobs/{large.blobs[0].digest}",
    ]
    connection.connect()
    used = connection.sock
    for target in targets * 2:
        for method in ("GET", "HEAD"):
            connection.request(method, target)
            connection.getresponse().read()
            assert connection.sock is used
    connection.close()


def test_requests_are_answered_in_order(running: Running):
    received = running.exchange(REQUEST * 3 + CLOSING)
    assert received.count(b"HTTP/1.1 200 OK") == 4


def test_bodies_of_requests_end_the_connection(running: Running):
    """The body is not read, so it must not be taken for the next request."""
    for framing in (b"Content-Length: 30\r\n", b"Transfer-Encoding: chunked\r\n"):
        sent = b"POST /v2/ HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n" + REQUEST
        assert running.exchange(sent).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v2/ HTTP/1.1\r\n" + b"X: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /v2/ HTTP/1.1\r\n" + b"X: y\r\n" * 150 + b"\r\n", 431),
        (b"GET /v2/ HTTP/9.9\r\n\r\n", 505),
        (b"GET /v2/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: a\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost", 408),
    ],
)
def test_invalid_requests_are_refused(running: Running, sent: bytes, status: int):
    first = running.exchange(sent).split(b"\r\n")[0]
    assert first.split()[:2] == [b"HTTP/1.1", str(status).encode()]
    assert running.get("/v2/")[0] == 200


def test_silent_clients_are_disconnected(running: Running):
    assert running.exchange(b"") == b""


def test_slow_clients_are_disconnected(running: Running):
    """A byte now and then does not extend the time for a head."""
    start = time.monotonic()
    assert b" 200 " not in running.exchange(
        *(REQUEST[i : i + 1] for i in range(len(REQUEST))), pause=0.02
    )
    assert time.monotonic() - start < 2


def test_clients_that_do_not_receive_are_disconnected(running: Running, large: images.Image):
    request = f"GET /v2/large/blobs/{large.blobs[1].digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    received = 0
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(running.address)
        client.sendall(request.encode())
        time.sleep(0.5)
        with suppress(ConnectionResetError):
            while data := client.recv(1 << 20):
                received += len(data)
    assert received < len(LARGE)


@pytest.mark.parametrize("encrypted", [False, True])
def test_silent_clients_exclude_no_others(bundle: Path, open_bundles: OpenBundles, encrypted: bool):
    limits = Limits(connections=2, head_seconds=5)
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if encrypted else None
    if tls is not None:
        authority.issue_cert("127.0.0.1").configure_cert(tls)
    with serve(open_bundles(bundle), limits=limits, tls=tls) as running, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(running.address, timeout=10))
            for _ in range(3)
        ]
        assert silent[0].recv(1) == b""
        if not encrypted:
            assert running.get("/v2/")[0] == 200
            assert silent[1].recv(1) == b""
        assert running.events == []


def test_connections_are_limited(bundle: Path, open_bundles: OpenBundles, large: images.Image):
    request = f"GET /v2/large/blobs/{large.blobs[1].digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    limits = Limits(connections=2)
    with serve(open_bundles(bundle), limits=limits) as running, ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(running.address)
            client.sendall(request.encode())
            assert client.recv(1) == b"H"
        assert running.exchange(REQUEST) == b""
        stack.close()
        deadline = time.monotonic() + 5
        while not running.exchange(CLOSING):
            assert time.monotonic() < deadline


def find_file(bundle: Path, blob: images.Blob) -> Path:
    return next(bundle.rglob(blob.digest.removeprefix("sha256:")))


@pytest.mark.parametrize("damage", ["absent", "short", "link", "directory"])
def test_damaged_blobs_are_reported_once(
    bundle: Path, running: Running, large: images.Image, damage: str, tmp_path: Path
):
    """The medium was changed after the start."""
    file = find_file(bundle, large.blobs[1])
    secret = tmp_path / "secret"
    secret.write_bytes(large.blobs[1].data)
    file.unlink()
    match damage:
        case "short":
            file.write_bytes(large.blobs[1].data[:-1])
        case "link":
            file.symlink_to(secret)
        case "directory":
            file.mkdir()
    target = f"/v2/large/blobs/{large.blobs[1].digest}"
    for _ in range(2):
        assert running.get(target)[0] == 500
    (warning,) = running.events
    assert isinstance(warning, WarningIssued)
    assert running.get("/v2/large/manifests/1")[0] == 200


def test_users_need_a_password(bundle: Path, open_bundles: OpenBundles, tmp_path: Path):
    users = tmp_path / "users"
    hashed = "$2b$04$abcdefghijklmnopqrstuuMOi6FS7NBNUrGgfx0AtRDZrJcDVQdTC"
    users.write_text(f"alice:{hashed}\n")
    with serve(open_bundles(bundle), users=PasswordFile.read(users)) as running:
        for target in ("/", "/v2/", "/v2/large/manifests/1"):
            assert running.get(target)[0] == 401


def test_tls_is_used(bundle: Path, open_bundles: OpenBundles, large: images.Image):
    authority = trustme.CA()
    tls, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(trusting)
    with serve(open_bundles(bundle), tls=tls) as running:
        assert running.server.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(*running.address, context=trusting, timeout=10)
        for item in large.blobs:
            connection.request("GET", f"/v2/large/blobs/{item.digest}")
            assert connection.getresponse().read() == item.data
            range_ = {"Range": "bytes=1-2"}
            connection.request("GET", f"/v2/large/blobs/{item.digest}", headers=range_)
            assert connection.getresponse().read() == item.data[1:3]
        connection.close()
        assert running.exchange(REQUEST)[:5] != b"HTTP/"
        assert running.exchange(b"") == b""
        assert running.events == []


@pytest.mark.parametrize("encrypted", [False, True])
def test_empty_blobs_are_sent(tmp_path: Path, open_bundles: OpenBundles, encrypted: bool):
    empty = images.Layer(images.Blob(images.OCI["tar"], b""), images.sha256(b""))
    bundle = bundles.write(tmp_path / "b", {"docker.io/library/a:1": images.image(empty)})
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if encrypted else None
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    if tls is not None:
        authority.issue_cert("127.0.0.1").configure_cert(tls)
    with serve(open_bundles(bundle), tls=tls) as running:
        connection = (
            http.client.HTTPSConnection(*running.address, context=trusting, timeout=10)
            if encrypted
            else http.client.HTTPConnection(*running.address, timeout=10)
        )
        for _ in range(2):  # on one connection
            connection.request("GET", f"/v2/library/a/blobs/{empty.blob.digest}")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b"")
        connection.close()
        assert running.events == []


def test_used_port_is_refused(running: Running):
    with pytest.raises(UsageError):
        RegistryServer(
            *running.address, running.server.content, cancellation=Cancellation(), emit=print
        )


def test_ipv6_is_supported(bundle: Path, open_bundles: OpenBundles):
    options: dict[str, Any] = {"cancellation": Cancellation(), "emit": print}
    with RegistryServer("::1", 0, open_bundles(bundle), **options) as server:
        assert server.authority == f"[::1]:{server.server_address[1]}"
