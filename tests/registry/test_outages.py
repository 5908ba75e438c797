"""Registries that are unavailable for a while, and hosts that never answer."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from io import BytesIO
from types import SimpleNamespace

import pytest
import trustme

from bundler.config.registry_access import Credentials, RegistryLimits, TlsConfig
from bundler.content.streams import VerifiedReader
from bundler.errors import RegistryError
from bundler.events import Retrying
from bundler.oci.digest import Digest
from bundler.registry.auth.origin import Origin
from bundler.registry.availability import HostAvailability
from bundler.registry.repository import Repository
from bundler.registry.uploads import Uploads
from tests.fakes.registry import FakeRegistry

OUTAGE = 1.0
PATIENT = RegistryLimits(patience=3)


class Restartable:
    """A registry that stops, and after ``OUTAGE`` seconds listens on the same port again."""

    def __init__(self, stack: ExitStack, **options):
        self._stack = stack
        self._running = ExitStack()
        self.registry = FakeRegistry(**options)
        self._running.enter_context(self.registry)
        stack.callback(self._running.close)

    def stop(self):
        """Stop now; start again later, with the same content."""
        former = self.registry
        address = former._server.server_address
        self._running.close()

        def start():
            self.registry = FakeRegistry(
                auth=former.auth, address=address, token_lifetime=former.token_lifetime
            )
            self.registry.repositories = former.repositories
            self._running.enter_context(self.registry)

        timer = threading.Timer(OUTAGE, start)
        timer.start()
        self._stack.callback(timer.join)


@pytest.fixture
def restartable():
    with ExitStack() as stack:
        yield lambda **options: Restartable(stack, **options)


@pytest.fixture
def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@contextmanager
def listening(answer, tls=None):
    """Yield the address of a server that calls ``answer`` with each connection, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    if tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def dropping(host, times):
    """Yield the address of a load balancer that drops connections first, then forwards them."""
    counter, threads = itertools.count(1), []

    def forward(source, target):
        with source:
            with suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_RDWR)

    def answer(connection):
        if next(counter) <= times:
            connection.recv(65536)
            connection.close()
            return
        name, _, port = host.partition(":")
        target = socket.create_connection((name, int(port)))
        for pair in ((connection, target), (target, connection)):
            threads.append(threading.Thread(target=forward, args=pair))
            threads[-1].start()

    with listening(answer) as address:
        yield address
    for thread in threads:
        thread.join(10)


def retries(emitted):
    return [event for event in emitted if isinstance(event, Retrying)]


def test_outage_is_survived_with_one_event(restartable, connect):
    server, emitted = restartable(), []
    server.registry.add_image("library/app", "1")
    session = connect(server.registry, limits=PATIENT, emit=emitted.append)
    session.ping()
    server.stop()
    Repository(session, "library/app").get_manifest("1")
    assert [(event.patience, event.attempt) for event in retries(emitted)] == [(3, 1)]


def test_outage_is_announced_once_for_all_threads(restartable, connect):
    server, emitted = restartable(), []
    server.registry.add_image("library/app", "1")
    session = connect(server.registry, limits=PATIENT, emit=emitted.append)
    session.ping()
    server.stop()
    repository = Repository(session, "library/app")
    threads = [threading.Thread(target=repository.get_manifest, args=("1",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(retries(emitted)) == 1


def test_late_results_do_not_announce_an_outage_again():
    """A response from before an outage does not end it; a failure from it begins no other one."""
    hosts, origin = HostAvailability(), Origin.of("http://registry.example")

    def fail(begun):
        error = RegistryError("refused", temporary=True)
        hosts.record_failure(origin, error, 60, begun=begun, connected=True)
        assert error.patience == 60
        return error.outage

    before = time.monotonic()
    outage = fail(before)
    hosts.record_response(origin, before)
    during = time.monotonic()
    assert fail(during) is outage
    hosts.record_response(origin, time.monotonic())
    assert fail(during) is outage
    assert fail(time.monotonic()) is not outage


def test_outage_of_the_token_service_is_survived(restartable, connect):
    server = restartable(auth="bearer", token_lifetime=0.1)
    server.registry.add_image("library/app", "1")
    session = connect(server.registry, Credentials("user", "password"), limits=PATIENT)
    Repository(session, "library/app").get_manifest("1")
    server.stop()
    Repository(session, "library/app").get_manifest("1")


def test_manifest_is_pushed_after_outage(restartable, connect):
    server = restartable()
    session = connect(server.registry, limits=PATIENT)
    session.ping()
    server.stop()
    repository = Repository(session, "library/app", writable=True)
    repository.put_manifest("1", "application/vnd.oci.image.index.v1+json", b"{}")
    assert server.registry.repositories["library/app"].manifests


def test_new_session_knows_that_the_host_has_answered(restartable, connect):
    server = restartable()
    connect(server.registry, limits=PATIENT).ping()
    server.stop()
    connect(server.registry, limits=PATIENT).ping()


def test_unavailable_registry_fails_after_patience(registry, connect):
    emitted = []
    session = connect(registry, limits=RegistryLimits(patience=0.5), emit=emitted.append)
    registry.fail("GET", status=503, times=None)
    begun = time.monotonic()
    with pytest.raises(RegistryError) as raised:
        session.ping()
    assert raised.value.status == 503
    assert 0.5 <= time.monotonic() - begun < 5
    assert len(registry.requests) > 3
    assert len(retries(emitted)) == 1


def test_unavailable_host_is_not_awaited_twice(connect):
    with FakeRegistry() as registry:
        session = connect(registry, limits=RegistryLimits(patience=0.5))
        session.ping()
    with pytest.raises(RegistryError):
        session.ping()
    time.sleep(0.2)
    begun = time.monotonic()
    with pytest.raises(RegistryError):
        session.ping()
    assert time.monotonic() - begun < 0.4


def test_outage_after_the_answer_to_a_tls_handshake_is_survived(registry, connect):
    """A server without TLS answers the handshake, which shows that it exists."""
    registry.fail("GET", "/v2/", drop=True)
    emitted = []
    limits = {"limits": PATIENT, "emit": emitted.append}
    session = connect(registry, tls=TlsConfig(verify=False), **limits)
    session.ping()
    assert session.origin.scheme == "http"
    assert len(retries(emitted)) == 1


@pytest.mark.parametrize("verify", [True, False])
def test_host_that_never_answered_is_reported_at_once(connect, registry, verify):
    emitted = []
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        host = f"127.0.0.1:{unused.getsockname()[1]}"
    session = connect(
        registry, host=host, tls=TlsConfig(verify=verify), limits=PATIENT, emit=emitted.append
    )
    begun = time.monotonic()
    with pytest.raises(RegistryError) as raised:
        session.ping()
    assert raised.value.temporary
    assert emitted == []
    assert time.monotonic() - begun < 1


def test_no_patience_means_no_retry(registry, connect):
    session = connect(registry, limits=RegistryLimits(patience=0))
    session.ping()
    registry.fail("GET", status=503, times=None)
    with pytest.raises(RegistryError):
        session.ping()
    assert len(registry.requests) == 2


def test_tls_connection_that_is_cut_off_is_a_temporary_failure(connect, tls_context):
    data = bytes(20_000_000)
    digest = Digest.of(data)
    with FakeRegistry(tls=tls_context) as registry:
        registry.fail("PATCH", cut_after=500_000)
        session = connect(registry, tls=TlsConfig(verify=False), limits=PATIENT)
        uploads = Uploads(Repository(session, "library/app", writable=True))
        content = VerifiedReader(BytesIO(data), "test", digest=digest, size=len(data))
        with pytest.raises(RegistryError) as raised:
            uploads.push(digest, content)
        assert raised.value.temporary
        assert raised.value.patience == 3


def test_connection_that_is_dropped_in_the_handshake_is_retried(connect, tls_context):
    """A load balancer accepts connections although no registry is behind it yet."""
    with FakeRegistry(tls=tls_context) as registry, dropping(registry.host, times=3) as host:
        session = connect(registry, host=host, tls=TlsConfig(verify=False), limits=PATIENT)
        session.ping()
        session.close()


def test_outage_that_begins_in_the_first_request_is_survived(connect):
    """The connection that was established shows that the server exists."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()

        def restart():
            listening.accept()[0].close()
            listening.close()
            time.sleep(OUTAGE)
            with FakeRegistry(address=address):
                finished.wait(5)

        finished, thread = threading.Event(), threading.Thread(target=restart)
        thread.start()
        server = SimpleNamespace(tls=None, host=f"127.0.0.1:{address[1]}")
        connect(server, limits=PATIENT).ping()
        finished.set()
        thread.join()


def test_host_that_only_the_proxy_answers_for_is_reported_at_once(registry, connect):
    """A proxy returns 503 for names that it cannot resolve."""
    registry.fail("GET", status=503, times=None)
    tls, emitted = TlsConfig(plain_http=True), []
    session = connect(registry, host="no.example", tls=tls, proxy=registry.url, emit=emitted.append)
    with pytest.raises(RegistryError) as raised:
        session.ping()
    assert raised.value.status == 503
    assert emitted == []


@pytest.mark.parametrize("path", ["manifests", "tags/list", "referrers"])
def test_document_that_is_cut_off_is_requested_again(registry, connect, path):
    registry.add_image("library/app", "1")
    repository = Repository(connect(registry), "library/app")
    registry.fail("GET", path=path, cut_after=5)
    descriptor, _ = repository.get_manifest("1")
    assert repository.list_tags() == ["1"]
    assert repository.list_referrers(descriptor.digest) == []
    assert registry.count("GET", path) == 2
