"""Servers that send bytes too slowly, or nothing useful."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trustme

from bundler.config.registry_access import ANY_DETAILS, Credentials, RegistryLimits, TlsConfig
from bundler.errors import LimitError, RegistryError, StalledError
from bundler.oci.digest import Digest
from bundler.registry.exchange import http_client, response, watchdog
from bundler.registry.repository import Repository
from bundler.registry.tls import certificates, contexts
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bundler.content.streams import Reader

BLOB = Digest("sha256:" + "0" * 64)
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 100000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LIMITS = RegistryLimits(
    patience=0.2, response_timeout=0.6, stall_timeout=0.6, min_bytes_per_second=1000
)


class _Server:
    """The fields of a registry that ``connect`` uses."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.host = f"127.0.0.1:{port}"
        self.tls = tls


class Endless:
    """A response that begins with ``head``, and then repeats ``part`` every ``gap`` seconds."""

    def __init__(self, part: bytes, *head: bytes, gap: float = 0.02) -> None:
        self._part, self._head, self._gap = part, head, gap

    def __iter__(self) -> Iterator[bytes]:
        yield from self._head
        while True:
            yield self._part
            time.sleep(self._gap)


class Late:
    """A response after a wait, whose parts are sent every ``gap`` seconds."""

    def __init__(self, wait: float, *parts: bytes, gap: float = 0) -> None:
        self._wait, self._parts, self._gap = wait, parts, gap

    def __iter__(self) -> Iterator[bytes]:
        time.sleep(self._wait)
        for part in self._parts:
            yield part
            time.sleep(self._gap)


@contextmanager
def serving(*responses: Iterable[bytes], reads: bool = True, tls: ssl.SSLContext | None = None):
    """Run a server that sends the parts of a response; the last one answers further requests.

    With ``reads`` false, the requests are not read.
    """
    ended, accepted = threading.Event(), []
    plan = itertools.chain(responses, itertools.repeat(responses[-1]))

    def answer_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while not ended.is_set() and (not reads or connection.recv(65536)):
                for part in next(plan):
                    connection.sendall(part)
                    if ended.is_set():
                        return
                ended.wait(0 if reads else 10)

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                if tls is not None:
                    connection = tls.wrap_socket(connection, server_side=True)
                accepted.append(connection)
                threads.append(threading.Thread(target=answer_one, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=serve, args=(listening,))]
        threads[0].start()
        try:
            yield _Server(listening.getsockname()[1])
        finally:
            ended.set()
            for connection in (listening, *accepted):
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def read(stream: Reader) -> int:
    """Read the whole stream; return the number of bytes."""
    buffer, count = memoryview(bytearray(65536)), 0
    while got := stream.readinto(buffer):
        count += got
    return count


@contextmanager
def ending_within(seconds: float):
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds


@pytest.fixture
def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


HEADS = {
    "silent": [],
    "slow status line": Endless(b"H"),
    "slow headers": Endless(b"X-Header: 1\r\n", OK, gap=0.1),
    "endless interim responses": Endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless hints": Endless(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"),
}


@pytest.mark.parametrize("parts", HEADS.values(), ids=HEADS)
def test_response_without_complete_head_ends_at_limit(connect, parts):
    with serving(parts) as server, ending_within(5):
        repository = Repository(connect(server, limits=LIMITS), "library/app")
        with pytest.raises(StalledError) as raised:
            repository.get_manifest("1")
        assert raised.value.patience == 0


LARGE_HEADS = {
    "lines": [OK, *[b"X-Header: %s\r\n" % (b"x" * 60_000)] * 5, b"\r\n"],
    "line": [OK, b"X-Header: %s\r\n" % (b"x" * 70_000), b"\r\n"],
    "fields": [OK, b"X-Header: 1\r\n" * 101, b"\r\n"],
    "interim responses": [b"HTTP/1.1 100 Continue\r\nX: %s\r\n\r\n" % (b"x" * 3000)] * 100,
}


@pytest.mark.parametrize("parts", LARGE_HEADS.values(), ids=LARGE_HEADS)
def test_large_head_is_refused(connect, parts):
    with serving(parts) as server, ending_within(5), pytest.raises(LimitError):
        connect(server, limits=LIMITS).ping()


def test_head_with_long_urls_is_accepted(connect):
    parts = [OK, *[b"X-Header: %s\r\n" % (b"x" * 60_000)] * 4, b"Content-Length: 2\r\n\r\n{}"]
    with serving(parts) as server:
        connect(server, limits=LIMITS).ping()


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_response_is_not_the_answer(connect, status):
    interim = b"HTTP/1.1 %s\r\nLink: </x>; rel=preload\r\n\r\n" % status
    parts = [interim, interim, OK, b"Content-Length: 2\r\n\r\n{}"]
    with serving(parts) as server:
        connect(server, limits=LIMITS).ping()


def test_redirects_share_the_limit_of_a_response(connect):
    redirect = Late(0.5, b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /v2/\r\n\r\n")
    with serving(redirect) as server, ending_within(2), pytest.raises(StalledError) as raised:
        connect(server, limits=replace(LIMITS, stall_timeout=0.3)).ping()
    assert raised.value.limit == 0.6


def test_token_service_shares_the_limit_of_a_response(connect):
    """Its redirects too, and the answer of the registry after that."""
    redirect = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /token\r\n\r\n"
    token = OK + b'Content-Length: 13\r\n\r\n{"token":"x"}'
    slow = [Late(0.25, redirect), Late(0.25, token)]
    with serving(*slow) as service:
        realm = f'Bearer realm="http://{service.host}/token"'.encode()
        head = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: "
        with (
            serving(Late(0.25, head + realm + b"\r\n\r\n")) as server,
            ending_within(2),
            pytest.raises(StalledError),
        ):
            connect(server, limits=LIMITS).ping()


def test_retries_share_the_limit_of_a_response(connect):
    unavailable = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
    with serving(Late(0.4, unavailable)) as server, ending_within(2), pytest.raises(StalledError):
        connect(server, limits=replace(LIMITS, patience=5.0)).ping()


def test_pages_share_the_limit_of_a_response(connect):
    """A page of one tag makes up for little of the time that it takes."""
    pages = (
        Late(
            0.2,
            OK + b'Content-Length: 14\r\nLink: </v2/%d>; rel="next"\r\n\r\n' % number,
            b'{"tags":["1"]}',
        )
        for number in itertools.count()
    )
    with serving(*itertools.islice(pages, 50)) as server, ending_within(4):
        repository = Repository(connect(server, limits=LIMITS), "library/app")
        with pytest.raises(StalledError):
            repository.list_tags()


def test_large_pages_make_up_for_the_time_that_they_take(connect):
    tags = b'{"tags":["%s"]}' % b"1".zfill(200)
    head = OK + b"Content-Length: %d\r\n" % len(tags)
    pages = [
        Late(0.2, head + b'Link: </v2/%d>; rel="next"\r\n\r\n' % number, tags)
        for number in range(6)
    ]
    with serving(*pages, [head + b"\r\n", tags]) as server:
        repository = Repository(connect(server, limits=LIMITS), "library/app")
        assert len(repository.list_tags()) == 1


def test_silence_names_host_and_limit(connect):
    with serving([]) as server:
        with pytest.raises(StalledError) as raised:
            connect(server, limits=LIMITS).ping()
        assert (raised.value.host, raised.value.limit) == (f"http://{server.host}", 0.6)


BODIES = {
    "silent": [OK, LENGTH],
    "slow": Endless(b"x", OK, LENGTH),
    "slow chunks": Endless(b"1\r\nx\r\n", OK, CHUNKED),
    "slow chunk sizes": Endless(b"0", OK, CHUNKED, b"1"),
    "endless trailers": Endless(b"X-Trailer: 1\r\n", OK, CHUNKED, b"0\r\n"),
}


@pytest.mark.parametrize("parts", BODIES.values(), ids=BODIES)
def test_blob_without_progress_is_a_temporary_error(connect, parts):
    """Another attempt may resume the blob."""
    with serving(parts) as server, ending_within(5):
        repository = Repository(connect(server, limits=LIMITS), "library/app")
        with (
            repository.open_blob(BLOB, 100_000) as stream,
            pytest.raises(StalledError) as raised,
        ):
            read(stream)
        assert raised.value.temporary
        assert raised.value.limit == 0.6


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"302 Found", b"404 Not Found"])
def test_slow_body_that_is_not_needed_is_bounded(connect, monkeypatch, status):
    monkeypatch.setattr(response, "_DRAIN_TIMEOUT", 0.3)
    head = (
        b"HTTP/1.1 " + status + b"\r\nContent-Length: 50\r\nLocation: /v2/\r\n"
        b"WWW-Authenticate: Basic realm=x\r\n\r\n"
    )
    with serving(Endless(b"x", head, gap=0.1)) as server, ending_within(8):
        client = connect(server, Credentials("user", "password"), limits=LIMITS)
        with pytest.raises(RegistryError):
            client.ping()


def test_slow_token_service_is_bounded(connect):
    with (
        serving(Endless(b" ", OK, LENGTH)) as service,
        FakeRegistry(auth="bearer", realm=f"http://{service.host}/token") as registry,
        ending_within(5),
        pytest.raises(RegistryError),
    ):
        connect(registry, limits=LIMITS).ping()


def test_slow_storage_is_bounded(connect):
    with (
        serving(Endless(b"H")) as storage,
        FakeRegistry() as registry,
        ending_within(5),
    ):
        registry.fail("GET", redirect=f"http://{storage.host}/blob")
        with pytest.raises(StalledError) as raised:
            connect(registry, limits=LIMITS).ping()
    assert raised.value.host == f"http://{storage.host}"


def test_slow_proxy_is_bounded(connect, monkeypatch):
    monkeypatch.setattr("bundler.registry.exchange.connection_pool.TUNNEL_TIMEOUT", 0.6)
    parts = Endless(b"X-Header: 1\r\n", b"HTTP/1.1 200 OK\r\n")
    with serving(parts) as proxy, ending_within(5):
        url = f"http://{proxy.host}"
        client = connect(proxy, host="registry.example", tls=TlsConfig(), limits=LIMITS, proxy=url)
        with pytest.raises(RegistryError):
            client.ping()


@pytest.mark.parametrize("parts", [[], Endless(b"\x16")])
def test_unanswered_handshake_is_reported_within_its_limit(connect, monkeypatch, parts):
    monkeypatch.setattr(watchdog.ExchangeLimits, "get", lambda *_: 0.6)
    with serving(parts) as server, ending_within(5), pytest.raises(RegistryError):
        connect(server, tls=TlsConfig(), limits=LIMITS).ping()


def test_slow_second_handshake_is_bounded(monkeypatch):
    """The certificate of an untrusted server is fetched by a second handshake."""
    monkeypatch.setattr(certificates, "_TIMEOUT", 0.5)
    with serving(Endless(b"\x16", gap=0.1)) as server, ending_within(5):
        host, _, port = server.host.partition(":")
        context = contexts.create_unverified_context(ANY_DETAILS)
        assert certificates.fetch_certificate(host, int(port), lambda: context) is None


def test_server_that_does_not_read_ends_an_upload(connect):
    """The buffers of the kernel take up a few megabytes."""
    with serving([], reads=False) as server, ending_within(8):
        repository = Repository(connect(server, limits=LIMITS), "library/app", writable=True)
        with pytest.raises(RegistryError):
            repository.put_manifest("1", "application/json", bytes(30_000_000))


def test_plain_http_is_found_behind_an_unanswered_handshake(connect, monkeypatch):
    """Such a server waits for the end of a line, which a TLS handshake does not contain."""
    monkeypatch.setattr(http_client, "_PROBE_HANDSHAKE_TIMEOUT", 0.5)
    plain = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"]
    with serving([], plain) as server, ending_within(5):
        connect(server, tls=TlsConfig(verify=False), limits=LIMITS).ping()


def test_plain_http_server_may_answer_slowly(connect, monkeypatch):
    """Its answer to the TLS handshake shows the scheme."""
    monkeypatch.setattr(http_client, "_PROBE_RESPONSE_TIMEOUT", 0.2)
    refusal = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]
    plain = Late(0.5, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    with serving(refusal, plain) as server, ending_within(5):
        connect(server, tls=TlsConfig(verify=False)).ping()


def test_https_server_that_answers_slowly_is_not_taken_for_plain_http(
    connect, monkeypatch, tls_context
):
    monkeypatch.setattr(http_client, "_PROBE_RESPONSE_TIMEOUT", 0.3)

    late = Late(0.5, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    with serving(late, tls=tls_context) as server:
        client = connect(server, tls=TlsConfig(verify=False))
        client.ping()
        assert client.origin.scheme == "https"


def test_slow_document_times_out(connect, monkeypatch):
    monkeypatch.setattr(response, "_MAX_DOCUMENT_TIME", 0.3)
    with serving(Endless(b"x", OK, LENGTH)) as server, ending_within(5):
        limits = RegistryLimits(patience=0)
        with pytest.raises(RegistryError) as raised:
            Repository(connect(server, limits=limits), "library/app").get_manifest("1")
        assert raised.value.temporary


def test_slow_link_above_minimum_rate_is_accepted(connect):
    limits = RegistryLimits(stall_timeout=0.3, min_bytes_per_second=10)
    slow = Late(0, OK + b"Content-Length: 80\r\n\r\n", *[b"x"] * 80, gap=0.02)
    with serving(slow) as server:
        repository = Repository(connect(server, limits=limits), "library/app")
        with repository.open_blob(BLOB, 80) as stream:
            assert read(stream) == 80


def test_time_between_reads_does_not_count(connect, registry):
    digest = Digest(registry.add_blob("library/app", b"x" * 20))
    buffer = memoryview(bytearray(5))
    limits = RegistryLimits(stall_timeout=0.2)
    repository = Repository(connect(registry, limits=limits), "library/app")
    with repository.open_blob(digest, 20) as stream:
        for _ in range(4):
            time.sleep(0.3)
            assert stream.readinto(buffer) == 5


def test_time_to_read_the_source_does_not_count(connect, registry):
    class SlowBody:
        size, spent = 2, False

        def chunks(self):
            for _ in range(2):
                time.sleep(0.5)
                yield memoryview(b"x")

    limits = RegistryLimits(stall_timeout=0.2, response_timeout=0.2)
    with connect(registry, limits=limits).request(
        "POST", "/v2/library/app/blobs/uploads/", subject="x", body=SlowBody()
    ) as started:
        assert started.status == 202
