"""Sessions: authentication, redirects, retries, TLS, proxies and cancellation."""

# The outer block is the registry, the inner block the assertion.
# ruff: noqa: SIM117

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme

from bundler.cancel import Cancellation
from bundler.config.proxy_env import Proxies
from bundler.config.registry_access import (
    Credentials,
    RegistryAccess,
    RegistryLimits,
    TlsConfig,
)
from bundler.errors import (
    BundlerError,
    CancelledError,
    CertificateError,
    CertificateProblem,
    ConfigError,
    DeniedError,
    LimitError,
    RateLimitedError,
    RegistryError,
    UnauthorizedError,
    UntrustedTokenServiceError,
)
from bundler.events import Retrying
from bundler.oci.digest import Digest
from bundler.registry.errors import is_connection_refused, is_plain_http, iterate_causes
from bundler.registry.exchange.http_client import HttpClient
from bundler.registry.repository import Repository
from tests.fakes.registry import FakeRegistry

USER = Credentials("user", "password")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def server_context(authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def loopback(monkeypatch):
    """Resolve all host names to 127.0.0.1."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *more, **options: resolve("127.0.0.1", *more, **options)
    )


def pull(session, name="library/app", tag="1"):
    return Repository(session, name).get_manifest(tag)


class TestBasic:
    def test_basic_credentials_are_sent_after_challenge(self, connect):
        with FakeRegistry(auth="basic") as registry:
            registry.add_image("library/app", "1")
            session = connect(registry, USER)
            pull(session)
            pull(session)
            given = [request.headers.get("authorization") for request in registry.requests]
        assert given[0] is None
        assert given[1:] == ["Basic " + base64.b64encode(b"user:password").decode()] * 2

    def test_wrong_password_is_unauthorized(self, connect):
        with FakeRegistry(auth="basic") as registry:
            session = connect(registry, Credentials("user", "wrong"))
            with pytest.raises(UnauthorizedError) as caught:
                session.ping()
            assert caught.value.status == 401
            assert len(registry.requests) == 2
        assert caught.value.hint == f"airbundle login {registry.host}"
        assert "wrong:" not in str(caught.value)

    def test_missing_password_is_unauthorized(self, connect):
        with FakeRegistry(auth="basic") as registry:
            with pytest.raises(UnauthorizedError) as raised:
                connect(registry).ping()
            assert raised.value.status == 401


class TestBearer:
    def test_token_is_reused(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            session = connect(registry, USER)
            for _ in range(3):
                pull(session)
            assert registry.count("GET", "^/token") == 1
            token_request = registry.find_requests("GET", "^/token")[0]
        assert token_request.query["service"] == ["fake"]
        assert token_request.query["scope"] == ["repository:library/app:pull"]

    def test_threads_share_one_token(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            session = connect(registry, USER)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: pull(session), range(40)))
            assert registry.count("GET", "^/token") == 1

    def test_one_token_allows_reading_and_writing(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            repository = Repository(connect(registry, USER), "library/app", writable=True)
            assert not repository.has_blob(Digest.of(b"x"))
            repository.put_manifest("1", "application/vnd.oci.image.manifest.v1+json", b"{}")
            assert registry.count("GET", "^/token") == 1

    def test_anonymous_token_is_requested_without_credentials(self, connect):
        with FakeRegistry(auth="bearer", anonymous_pull=True) as registry:
            registry.add_image("library/app", "1")
            pull(connect(registry))
            assert registry.find_requests("GET", "^/token")[0].headers.get("authorization") is None

    def test_token_is_renewed_before_it_expires(self, connect):
        with FakeRegistry(auth="bearer", token_lifetime=1) as registry:
            registry.add_image("library/app", "1")
            session = connect(registry, USER)
            pull(session)
            time.sleep(0.8)
            pull(session)
            refused = [
                r
                for r in registry.find_requests("GET", "manifests")
                if "authorization" not in r.headers
            ]
            assert len(refused) == 1
            assert registry.count("GET", "manifests") == 3
            assert registry.count("GET", "^/token") == 2

    def test_token_is_requested_after_rate_limit(self, connect):
        """Otherwise, it could expire while the request waits for the rate limit."""
        with FakeRegistry(auth="bearer", token_lifetime=0.3) as registry:
            registry.add_image("library/app", "1")
            pull(connect(registry, USER, limits=RegistryLimits(requests_per_second=2)))
            assert registry.count("GET", "manifests") == 2

    def test_refused_token_is_renewed(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            session = connect(registry, USER)
            pull(session)
            registry.expire_tokens()
            pull(session)
            assert registry.count("GET", "^/token") == 2

    def test_identity_token_is_exchanged_by_post(self, connect):
        with FakeRegistry(auth="bearer", identity_token="long-lived") as registry:
            registry.add_image("library/app", "1")
            pull(connect(registry, Credentials(identity_token="long-lived")))
            assert registry.count("POST", "^/token$") == 1

    def test_refused_identity_token_is_unauthorized(self, connect):
        with FakeRegistry(auth="bearer", identity_token="long-lived") as registry:
            registry.add_image("library/app", "1")
            with pytest.raises(UnauthorizedError) as raised:
                pull(connect(registry, Credentials(identity_token="revoked")))
            assert raised.value.status == 400

    def test_registry_token_is_sent_unchanged(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            token = registry.issue_token(["repository:library/app:pull"])
            pull(connect(registry, Credentials(registry_token=token)))
            assert registry.count("GET", "^/token") == 0

    def test_wrong_password_is_unauthorized(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            with pytest.raises(UnauthorizedError) as caught:
                connect(registry, Credentials("user", "secret-guess")).ping()
            assert caught.value.status == 401
        assert "secret-guess" not in str(caught.value)

    def test_useless_token_is_denied(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            registry.fail("GET", "^/token", times=None, body=b'{"token":"useless"}', status=200)
            with pytest.raises(DeniedError) as raised:
                pull(connect(registry, USER))
            assert raised.value.status == 401

    def test_request_to_token_service_is_retried(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            registry.fail("GET", "^/token", status=503, times=2)
            pull(connect(registry, USER))

    @pytest.mark.parametrize(
        "body",
        [b"", b"[]", b"{}", b'{"token":7}', b'{"token":"a\\r\\nX: y"}', b'{"token":""}', b"\xff"],
    )
    def test_response_without_token_is_refused(self, connect, body):
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", "^/token", status=200, body=body)
            with pytest.raises(RegistryError) as raised:
                connect(registry, USER).ping()
            assert not raised.value.temporary

    def test_endless_token_is_refused(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", "^/token", endless=True)
            with pytest.raises(LimitError) as caught:
                connect(registry, USER).ping()
            assert caught.value.exit_status == 8

    def test_token_that_no_header_can_contain_is_refused(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            body = b'{"token":"%s"}' % (b"x" * 900_000)
            registry.fail("GET", "^/token", status=200, body=body)
            with pytest.raises(LimitError):
                connect(registry, USER).ping()


class TestRealms:
    @pytest.mark.parametrize(
        "realm", ["http://169.254.169.254/token", "https://[fe80::1]/", "http://0.0.0.0/token"]
    )
    def test_metadata_service_receives_no_request(self, connect, realm):
        with FakeRegistry(auth="bearer", realm=realm) as registry:
            with pytest.raises(RegistryError) as raised:
                connect(registry, USER).ping()
            assert raised.value.exchange is None

    def test_other_domain_receives_no_credentials(self, connect):
        realm = "https://collector.example/token"
        with FakeRegistry(auth="bearer", realm=realm) as registry:
            with pytest.raises(UntrustedTokenServiceError) as raised:
                connect(registry, USER).ping()
        assert raised.value.exchange is None
        assert raised.value.token_service == "https://collector.example"
        options = "--tls-verify=false --token-service https://collector.example"
        assert f"airbundle login {options} {registry.host}" in raised.value.hint

    @pytest.mark.parametrize("access", ["token_service", "trusts_named_hosts"])
    def test_named_token_service_receives_credentials(self, connect, loopback, access):
        """Either the user names it, or all hosts that the registry names are trusted."""
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("library/app", "1")
            registry.realm = f"http://auth.example:{registry.port}/token"
            value = registry.realm if access == "token_service" else True
            pull(connect(registry, USER, **{access: value}))

    def test_other_port_of_the_same_host_is_a_token_service(self, connect):
        with FakeRegistry(auth="bearer") as service:
            with FakeRegistry(auth="bearer", realm=f"{service.url}/token") as registry:
                registry.add_image("library/app", "1")
                registry.tokens = service.tokens
                pull(connect(registry, USER))
            assert service.count("GET", "^/token") == 1

    def test_realm_without_tls_is_refused(self, connect, authority, ca_file):
        realm = "http://127.0.0.1:1/token"
        with FakeRegistry(auth="bearer", realm=realm, tls=server_context(authority)) as registry:
            with pytest.raises(RegistryError) as raised:
                connect(registry, USER, tls=TlsConfig(ca_files=(ca_file,))).ping()
            assert raised.value.exchange is None

    def test_redirect_of_realm_is_checked(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", "^/token", redirect="http://169.254.169.254/token")
            with pytest.raises(RegistryError) as raised:
                connect(registry, USER).ping()
            assert raised.value.exchange is None

    def test_redirect_of_realm_receives_no_password(self, connect):
        with FakeRegistry(auth="bearer") as registry, FakeRegistry(anonymous_pull=True) as other:
            registry.fail("GET", "^/token", redirect=f"{other.url}/token?scope=x", times=None)
            with pytest.raises(UnauthorizedError):
                pull(connect(registry, USER))
            assert other.requests
            assert "authorization" not in other.requests[0].headers

    @pytest.mark.parametrize("realm", ["", "not a url", "ftp://x/", "https://u:p@h/"])
    def test_invalid_realm_is_refused(self, connect, realm):
        with FakeRegistry(auth="bearer", realm=realm or " ") as registry:
            with pytest.raises(RegistryError):
                connect(registry, USER).ping()


class TestRedirects:
    def test_redirected_blob_request_has_no_credentials(self, connect):
        with FakeRegistry(auth="basic") as registry, FakeRegistry() as storage:
            digest = storage.add_blob("bucket", b"layer")
            registry.add_blob("library/app", b"layer")
            target = f"{storage.url}/v2/bucket/blobs/{digest}?X-Signature=secret"
            repository = Repository(connect(registry, USER), "library/app")
            repository.has_blob(Digest(digest))
            registry.fail("GET", "/blobs/", redirect=target)
            with repository.open_blob(Digest(digest), 5, 2) as stream:
                assert stream.read(10) == b"yer"
            assert "authorization" not in storage.requests[0].headers
            assert storage.requests[0].headers["range"] == "bytes=2-"

    def test_other_port_receives_no_credentials(self, connect):
        """Two ports of one host are different origins."""
        with FakeRegistry(auth="basic") as registry, FakeRegistry(auth="basic") as other:
            session = connect(registry, USER)
            session.ping()
            registry.fail("GET", redirect=f"{other.url}/v2/", times=None)
            with pytest.raises(RegistryError) as caught:
                session.ping()
            assert not isinstance(caught.value, UnauthorizedError)
            assert "authorization" not in other.requests[0].headers

    @pytest.mark.parametrize(
        "target",
        [
            "/b/%7Euser/x%2fy?sig=a%7Eb%3d",
            "/b/a/./c/../d?sig=1",
            "/b//x///d",
            "/b/?policy={\"a\":1}&name=[x]|&sig='x'",
            "/b/a+b?n=a+b%20c&sig=%2B",
            "/b/d?",
        ],
    )
    def test_redirect_is_followed_without_changing_its_text(self, registry, session, target):
        """A signature of an object store may cover every character of the URL."""
        received = []
        with socket.create_server(("127.0.0.1", 0)) as storage:

            def answer():
                connection, _ = storage.accept()
                with connection, connection.makefile("rb") as lines:
                    received.append(lines.readline())
                    while lines.readline().strip():
                        pass
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            host = f"http://127.0.0.1:{storage.getsockname()[1]}"
            registry.fail("GET", redirect=f"{host}{target}#fragment")
            session.ping()
            thread.join()
        assert received == [f"GET {target} HTTP/1.1\r\n".encode()]

    def test_redirect_within_registry_keeps_credentials(self, connect):
        with FakeRegistry(auth="basic") as registry:
            session = connect(registry, USER)
            session.ping()
            registry.fail("GET", "^/v2/$", redirect="/v2/?again")
            session.ping()
            assert "authorization" in registry.requests[-1].headers

    def test_redirect_loop_is_refused(self, registry, session):
        registry.fail("GET", redirect="/v2/", times=None)
        with pytest.raises(RegistryError) as raised:
            session.ping()
        assert not raised.value.temporary
        assert len(registry.requests) == 6

    def test_redirect_from_https_to_http_is_refused(self, connect, authority, ca_file, registry):
        with FakeRegistry(tls=server_context(authority)) as secure:
            secure.fail("GET", redirect=f"{registry.url}/v2/?token=secret")
            with pytest.raises(RegistryError) as caught:
                connect(secure, tls=TlsConfig(ca_files=(ca_file,))).ping()
            assert caught.value.exchange is None
        assert registry.requests == []
        assert "secret" not in str(caught.value)

    def test_redirect_to_link_local_address_is_refused(self, registry, session):
        registry.fail("GET", redirect="http://169.254.169.254/latest/meta-data")
        with pytest.raises(RegistryError) as raised:
            session.ping()
        assert raised.value.exchange is None

    @pytest.mark.parametrize("status", [301, 302, 303])
    def test_redirect_that_changes_method_is_refused(self, registry, repository, status):
        registry.fail("PUT", redirect="/v2/elsewhere", status=status)
        with pytest.raises(RegistryError) as raised:
            repository.put_manifest("1", "application/json", b"{}")
        assert raised.value.status == status

    def test_redirect_that_keeps_method_is_followed(self, registry, repository):
        registry.fail("PUT", redirect="/v2/library/other/manifests/1", status=308)
        repository.put_manifest("1", "application/vnd.oci.image.manifest.v1+json", b"{}")
        assert registry.repositories["library/other"].manifests


class TestRetries:
    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_temporary_statuses_are_retried(self, registry, session, status):
        registry.add_image("library/app", "1")
        registry.fail("GET", status=status, times=2)
        pull(session)
        assert len(registry.requests) == 3

    def test_dropped_connection_is_retried(self, registry, session):
        registry.add_image("library/app", "1")
        registry.fail("GET", drop=True, times=3)
        pull(session)

    @pytest.mark.parametrize("status", [400, 501])
    def test_permanent_statuses_are_not_retried(self, registry, session, status):
        registry.fail("GET", status=status, times=None)
        with pytest.raises(BundlerError):
            pull(session)
        assert len(registry.requests) == 1

    def test_retries_are_emitted_as_events(self, registry, connect):
        events = []
        registry.add_image("library/app", "1")
        registry.fail("GET", status=502)
        pull(connect(registry, emit=events.append))
        assert [(type(event), event.attempt) for event in events] == [(Retrying, 1)]
        assert "502 Bad Gateway" in events[0].reason
        assert events[0].subject == f"{registry.host}/library/app:1"

    @pytest.mark.parametrize("as_date", [False, True])
    def test_retry_after_is_respected(self, registry, connect, as_date):
        events = []
        registry.add_image("library/app", "1")
        soon = datetime.now(UTC) + timedelta(seconds=2)
        value = format_datetime(soon, usegmt=True) if as_date else "1"
        registry.fail("GET", status=429, headers={"Retry-After": value})
        started = time.monotonic()
        pull(connect(registry, emit=events.append))
        assert 0.9 <= events[0].wait <= 2.5
        assert time.monotonic() - started >= events[0].wait

    def test_rate_limit_delays_all_threads(self, registry, session):
        registry.add_image("library/app", "1")
        registry.fail("GET", status=429, headers={"Retry-After": "1"})
        with ThreadPoolExecutor(4) as pool:
            pull_later = [pool.submit(pull, session)]
            time.sleep(0.2)
            started = time.monotonic()
            pull_later += [pool.submit(pull, session) for _ in range(3)]
            for future in pull_later:
                future.result()
        assert time.monotonic() - started > 0.6

    def test_retry_after_beyond_the_patience_is_not_awaited(self, registry, session):
        registry.fail("GET", status=429, headers={"Retry-After": "86400"})
        started = time.monotonic()
        with pytest.raises(RateLimitedError) as caught:
            pull(session)
        assert caught.value.retry_after == 86400
        assert time.monotonic() - started < 5

    @pytest.mark.parametrize("retry_after", ["0", "1", None])
    def test_endless_rate_limit_ends_after_the_patience(self, registry, connect, retry_after):
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        registry.fail("GET", status=429, headers=headers, times=None)
        limits = RegistryLimits(rate_limit_patience=0.5)
        started = time.monotonic()
        with pytest.raises(RateLimitedError) as caught:
            pull(connect(registry, limits=limits))
        assert time.monotonic() - started < 2
        assert caught.value.patience == 0, "the engine would start again"

    @pytest.mark.parametrize(
        ("limits", "retry_after", "patience"),
        [
            (RegistryLimits(), None, 60),
            (RegistryLimits(), 0, 60),
            (RegistryLimits(), 5, 240),
            (RegistryLimits(patience=5), 5, 5),
            (RegistryLimits(patience=500), 5, 500),
            (RegistryLimits(patience=0, rate_limit_patience=62), None, 62),
        ],
    )
    def test_patience_with_rate_limit_is_set(self, limits, retry_after, patience):
        client = HttpClient(RegistryAccess("a.b", limits=limits), Cancellation())
        error = RateLimitedError("x", retry_after=retry_after)
        client.set_patience(error)
        assert error.patience == patience

    def test_error_code_indicates_rate_limit(self, registry, session):
        body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}'
        registry.fail("GET", status=403, body=body, times=None)
        with pytest.raises(RateLimitedError) as raised:
            pull(session)
        assert raised.value.codes == ("TOOMANYREQUESTS",)

    def test_forbidden_request_is_not_retried(self, registry, session):
        registry.fail("GET", status=403)
        with pytest.raises(DeniedError) as raised:
            pull(session)
        assert raised.value.status == 403
        assert len(registry.requests) == 1


class TestTls:
    def test_configured_authority_is_trusted(self, connect, authority, ca_file):
        with FakeRegistry(tls=server_context(authority)) as registry:
            registry.add_image("library/app", "1")
            pull(connect(registry, tls=TlsConfig(ca_files=(ca_file,))))

    def test_unknown_authority_is_refused(self, connect, authority):
        with FakeRegistry(tls=server_context(authority)) as registry:
            with pytest.raises(CertificateError) as caught:
                connect(registry, tls=TlsConfig()).ping()
            assert caught.value.problem is CertificateProblem.UNKNOWN_ISSUER
            assert not caught.value.temporary
            assert registry.requests == []
        assert "--cert-dir" in caught.value.hint

    def test_certificate_of_other_host_is_refused(self, connect, authority, ca_file):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("registry.example").configure_cert(context)
        with FakeRegistry(tls=context) as registry:
            with pytest.raises(CertificateError) as raised:
                connect(registry, tls=TlsConfig(ca_files=(ca_file,))).ping()
            assert raised.value.problem is CertificateProblem.NAME_MISMATCH

    def test_ssl_cert_file_is_respected(self, connect, authority, ca_file, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        with FakeRegistry(tls=server_context(authority)) as registry:
            connect(registry, tls=TlsConfig()).ping()

    def test_client_certificate_is_sent(self, connect, authority, ca_file, tmp_path):
        context = server_context(authority)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
        mine = authority.issue_cert("me@example.com")
        certificate, key = tmp_path / "client.cert", tmp_path / "client.key"
        mine.cert_chain_pems[0].write_to_path(str(certificate))
        mine.private_key_pem.write_to_path(str(key))
        with FakeRegistry(tls=context) as registry:
            tls = TlsConfig(ca_files=(ca_file,), client_certificate=certificate, client_key=key)
            connect(registry, tls=tls).ping()
            with pytest.raises(RegistryError):
                connect(registry, tls=TlsConfig(ca_files=(ca_file,))).ping()

    @pytest.mark.parametrize("content", [None, b"not a certificate"])
    def test_invalid_certificate_file_is_refused(self, connect, authority, tmp_path, content):
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_bytes(content)
        with FakeRegistry(tls=server_context(authority)) as registry:
            for tls in (TlsConfig(ca_files=(file,)), TlsConfig(client_certificate=file)):
                with pytest.raises(ConfigError) as raised:
                    connect(registry, tls=tls).ping()
                assert raised.value.path == str(file)

    def test_unverified_tls_accepts_any_certificate(self, connect, authority):
        with FakeRegistry(tls=server_context(authority)) as registry:
            registry.add_image("library/app", "1")
            pull(connect(registry, tls=TlsConfig(verify=False)))

    def test_unverified_tls_falls_back_to_http(self, connect, registry):
        registry.add_image("library/app", "1")
        session = connect(registry, tls=TlsConfig(verify=False))
        pull(session)
        assert registry.count("GET", "^/v2/$") == 0  # the answer to the handshake suffices

    def test_scheme_is_detected_again_after_a_failure(self, connect, registry):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            address = unused.getsockname()
        session = connect(registry, host=f"127.0.0.1:{address[1]}", tls=TlsConfig(verify=False))
        with pytest.raises(RegistryError):
            _ = session.origin
        with FakeRegistry(address=address):
            session.ping()

    def test_verified_tls_does_not_fall_back(self, connect, registry):
        with pytest.raises(RegistryError) as caught:
            connect(registry, tls=TlsConfig()).ping()
        assert is_plain_http(caught.value)
        assert "--tls-verify=false" in caught.value.hint
        assert registry.requests == []

    @pytest.mark.parametrize(
        ("name", "trusts_all", "trusted"),
        [
            ("127.0.0.1", False, True),
            ("other.example", False, False),
            ("other.example", True, True),
        ],
        ids=["same-host", "other-domain", "skopeo"],
    )
    def test_unverified_tls_applies_to_hosts_of_the_registry(
        self, connect, authority, loopback, name, trusts_all, trusted
    ):
        with (
            FakeRegistry(tls=server_context(authority)) as registry,
            FakeRegistry(tls=server_context(authority)) as storage,
        ):
            digest = storage.add_blob("bucket", b"layer")
            registry.add_blob("library/app", b"layer")
            target = storage.url.replace("127.0.0.1", name)
            registry.fail("GET", "/blobs/", redirect=f"{target}/v2/bucket/blobs/{digest}")
            session = connect(registry, tls=TlsConfig(verify=False), trusts_named_hosts=trusts_all)
            blob = Repository(session, "library/app").open_blob(Digest(digest), 5)
            if trusted:
                with blob as stream:
                    assert stream.read(5) == b"layer"
                return
            with pytest.raises(CertificateError) as raised, blob:
                pass
        assert f"{name}:{storage.port}" in raised.value.message
        assert f"certs.d/{registry.host}/ca.crt" in raised.value.hint
        assert f"{name}:{storage.port}" in raised.value.hint


class TestProxies:
    def test_requests_go_through_the_proxy(self, connect, registry):
        """Like a proxy for plain HTTP, the fake registry receives absolute URLs."""
        registry.fail("GET", status=200, body=b"{}")
        session = connect(registry, host="registry.example", proxy=f"http://me:pw@{registry.host}")
        session.ping()
        assert registry.requests[0].target == "http://registry.example/v2/"
        assert registry.requests[0].headers["proxy-authorization"].startswith("Basic ")

    def test_docker_hub_requests_go_to_registry_1_docker_io(self, connect, registry):
        """The request is observed at the proxy, so that no name has to be resolved."""
        registry.add_image("library/app", "1")
        session = connect(registry, host="docker.io", proxy=registry.url)
        pull(session)
        origins = {request.target.split("/v2/")[0] for request in registry.requests}
        assert origins == {"http://registry-1.docker.io"}
        assert session.host == "docker.io"

    @pytest.mark.parametrize("host", ["docker.io:443", "registry-1.docker.io", "hub.docker.io"])
    def test_other_hosts_are_addresses(self, connect, registry, host):
        registry.add_image("library/app", "1")
        pull(connect(registry, host=host, proxy=registry.url))
        assert {request.target.split("/v2/")[0] for request in registry.requests} == {
            f"http://{host}"
        }

    @pytest.mark.parametrize("host", ["docker.io", "registry.example:80"])
    def test_hint_suggests_login_to_name_in_use(self, connect, registry, host):
        """Credentials are stored by the name in references, with its port."""
        registry.fail("GET", status=401)
        with pytest.raises(UnauthorizedError) as caught:
            connect(registry, host=host, proxy=registry.url).ping()
        assert caught.value.hint == f"airbundle login {host}"

    def test_refusal_by_proxy_is_reported(self, connect, authority, registry):
        registry.fail("CONNECT", status=407, times=None)
        session = connect(
            registry,
            host="registry.example",
            tls=TlsConfig(),
            proxy=f"http://me:pw@{registry.host}",
        )
        with pytest.raises(RegistryError) as caught:
            session.ping()
        assert caught.value.temporary
        assert "pw" not in str(caught.value)

    def test_other_hosts_have_their_own_proxies(self, connect, registry):
        with FakeRegistry() as proxy:
            proxy.fail("GET", status=200, body=b"{}")
            proxies = Proxies.from_environment({"HTTP_PROXY": proxy.url})
            registry.fail("GET", redirect="http://storage.example/v2/")
            connect(registry, proxies=proxies).ping()
            assert proxy.requests[0].target == "http://storage.example/v2/"


class TestEnd:
    def test_cancellation_ends_blocked_read(self, registry, connect):
        registry.add_image("library/app", "1")
        registry.fail("GET", delay=5)
        cancellation = Cancellation()
        session = connect(registry, cancellation=cancellation)
        threading.Timer(0.2, cancellation.request).start()
        started = time.monotonic()
        with pytest.raises(CancelledError):
            pull(session)
        assert time.monotonic() - started < 2

    def test_cancellation_ends_wait_for_retry(self, registry, connect):
        registry.fail("GET", status=503, headers={"Retry-After": "60"})
        cancellation = Cancellation()
        limits = RegistryLimits(patience=100)
        session = connect(registry, cancellation=cancellation, limits=limits)
        threading.Timer(0.2, cancellation.request).start()
        with pytest.raises(CancelledError):
            pull(session)

    def test_cancelled_session_sends_no_request(self, registry, connect):
        cancellation = Cancellation()
        session = connect(registry, cancellation=cancellation)
        cancellation.request()
        with pytest.raises(CancelledError):
            session.ping()
        assert registry.requests == []

    def test_closed_session_remains_usable(self, registry, session):
        session.ping()
        session.close()
        session.ping()


class TestLimits:
    def test_parallel_connections_are_limited(self, registry, connect):
        registry.add_image("library/app", "1")
        registry.fail("GET", delay=0.05, times=None)
        session = connect(registry, limits=RegistryLimits(parallel=2))
        started = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: pull(session), range(8)))
        assert time.monotonic() - started >= 4 * 0.05

    def test_requests_per_second_are_limited(self, registry, connect):
        registry.add_image("library/app", "1")
        session = connect(registry, limits=RegistryLimits(requests_per_second=20))
        started = time.monotonic()
        for _ in range(5):
            pull(session)
        assert time.monotonic() - started >= 4 / 20


class TestUnreachable:
    def test_refused_connection_is_reported(self, connect, registry):
        session = connect(registry, host="127.0.0.1:1")
        with pytest.raises(RegistryError) as caught:
            session.ping()
        assert is_connection_refused(caught.value)
        assert caught.value.temporary

    def test_unknown_host_is_reported(self, connect, registry):
        with pytest.raises(RegistryError) as raised:
            connect(registry, host="no-such-host.invalid").ping()
        assert any(isinstance(cause, socket.gaierror) for cause in iterate_causes(raised.value))

    def test_web_page_is_not_a_registry(self, registry, session):
        registry.fail("GET", html=True, times=None)
        with pytest.raises(RegistryError) as raised:
            session.ping()
        assert raised.value.status == 200
        with pytest.raises(RegistryError) as raised:
            pull(session)
        assert raised.value.status == 200

    def test_message_contains_no_control_characters(self, registry, session):
        body = b'{"errors":[{"code":"X","message":"\\u001b[31mred\\nsecond line"}]}'
        registry.fail("GET", status=400, body=body)
        with pytest.raises(RegistryError) as caught:
            pull(session)
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("secret", ["s3cr3t", 'p"\\ä/%'])
    def test_message_contains_no_secret(self, connect, secret):
        """A server may repeat the credentials in its response, encoded or not."""
        with FakeRegistry(auth="basic", password=secret) as registry:
            session = connect(registry, Credentials("user", secret))
            session.ping()
            pair = base64.b64encode(f"user:{secret}".encode()).decode()
            message = f"no {secret} {pair}"
            body = json.dumps({"errors": [{"code": "X", "message": message}]}).encode()
            registry.fail("GET", status=400, body=body)
            with pytest.raises(RegistryError, match=r"X: no \*\*\* \*\*\*"):
                pull(session)

    def test_environment_is_ignored(self, registry, connect, monkeypatch, tmp_path):
        """Neither netrc nor proxy variables are used."""
        netrc = Path(tmp_path) / "netrc"
        netrc.write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        connect(registry).ping()
        assert "authorization" not in registry.requests[0].headers
        assert registry.requests[0].headers["accept-encoding"] == "identity"


def test_signature_api_is_detected_once_for_all_threads(registry, connect):
    registry.fail("GET", "^/v2/$", delay=0.2, times=None)
    session = connect(registry)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: session.has_signature_api(), range(4)))
    assert found == [False] * 4
    assert registry.count("GET", "^/v2/$") == 1
