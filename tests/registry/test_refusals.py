"""Refusals of registries, token services and proxies: type, exit status, reason and next step."""

from __future__ import annotations

import json
import ssl
from io import BytesIO

import pytest
import trustme

from bundler.config.registry_access import Credentials, TlsConfig
from bundler.content.streams import InMemoryContent, VerifiedReader
from bundler.errors import (
    BundlerError,
    ConflictError,
    DeniedError,
    NotFoundError,
    QuotaExceededError,
    ReadOnlyRegistryError,
    RefusedNameError,
    RefusedRequestError,
    RegistryError,
    UnauthorizedError,
)
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.registry.repository import Repository
from bundler.registry.uploads import Uploads
from tests.fakes.harbor import FakeHarbor
from tests.fakes.proxy import FakeProxy
from tests.fakes.registry import OCI_MANIFEST, FakeRegistry

BLOB = b"layer"
DIGEST = Digest.of(BLOB)
USER = Credentials("user", "password")
HTTPS = {"tls": TlsConfig()}


@pytest.fixture
def harbor():
    """A Harbor with the project ``airgap`` and three robots."""
    with FakeHarbor() as running:
        running.add_project("airgap")
        for name, rights in (("pusher", ("pull", "push")), ("puller", ("pull",)), ("none", ())):
            running.add_robot(name, "secret", "airgap", rights)
        running.add_image("airgap/app", "1")
        yield running


def open_repository(connect, registry, path, user=None, *, writable=False):
    credentials = Credentials(user, "secret") if user else Credentials()
    return Repository(connect(registry, credentials), path, writable=writable)


def push(repository):
    return Uploads(repository).push(
        DIGEST, InMemoryContent(BLOB, Descriptor("application/octet-stream", DIGEST, len(BLOB)))
    )


def refuse(action) -> BundlerError:
    """Return the error of ``action``; its message is one line."""
    with pytest.raises(BundlerError) as caught:
        action()
    assert "\n" not in caught.value.message
    return caught.value


class TestHarbor:
    def test_robot_pushes_and_pulls(self, connect, harbor):
        repository = open_repository(connect, harbor, "airgap/app", "pusher", writable=True)
        assert push(repository).digest == DIGEST
        repository.get_manifest("1")

    @pytest.mark.parametrize(
        "request_content",
        [
            lambda repository: repository.get_manifest("1"),
            lambda repository: repository.head_manifest("1"),
            lambda repository: repository.has_blob(DIGEST),
            lambda repository: repository.list_tags(),
            push,
        ],
        ids=["manifest", "manifest-head", "blob-head", "tags", "push"],
    )
    @pytest.mark.parametrize("writable", [False, True])
    def test_missing_project_is_named(self, connect, harbor, request_content, writable):
        repository = open_repository(connect, harbor, "nosuch/app", "pusher", writable=writable)
        error = refuse(lambda: request_content(repository))
        assert isinstance(error, DeniedError)
        assert error.repository == f"{harbor.host}/nosuch/app"
        assert error.action == ("push" if request_content is push or writable else "pull")
        assert "project nosuch not found" in error.message
        assert "login" not in error.hint
        assert not sends_password(harbor)

    def test_missing_right_is_denied(self, connect, harbor):
        repository = open_repository(connect, harbor, "airgap/app", "puller", writable=True)
        repository.get_manifest("1")
        error = refuse(lambda: push(repository))
        assert isinstance(error, DeniedError)
        assert error.exit_status == 7
        assert (error.action, error.repository) == ("push", f"{harbor.host}/airgap/app")
        assert "unauthorized to access repository: airgap/app, action: push" in error.message
        assert "login" not in error.hint
        assert not sends_password(harbor)

    def test_denied_deletion_is_named(self, connect, harbor):
        """The digest of the tag is requested first."""
        repository = open_repository(connect, harbor, "nosuch/app", "pusher", writable=True)
        error = refuse(lambda: repository.head_manifest("1", for_deletion=True))
        assert isinstance(error, DeniedError)
        assert error.action == "delete"

    def test_wrong_password_suggests_login(self, connect, harbor):
        repository = Repository(connect(harbor, Credentials("puller", "wrong")), "airgap/app")
        error = refuse(lambda: repository.get_manifest("1"))
        assert isinstance(error, UnauthorizedError)
        assert error.hint == f"airbundle login {harbor.host}"

    def test_anonymous_pull_suggests_login_and_names_reason(self, connect, harbor):
        error = refuse(lambda: open_repository(connect, harbor, "nosuch/app").get_manifest("1"))
        assert isinstance(error, UnauthorizedError)
        assert "project nosuch not found" in error.message
        assert error.hint == f"airbundle login {harbor.host}"

    def test_expired_token_is_renewed(self, connect, harbor):
        repository = open_repository(connect, harbor, "airgap/app", "puller")
        repository.get_manifest("1")
        harbor.expire_sessions()
        repository.get_manifest("1")
        assert not sends_password(harbor)

    def test_exceeded_quota_is_status_5(self, connect, harbor):
        harbor.add_project("small", quota=1)
        harbor.add_robot("small", "secret", "small", ("pull", "push"))
        error = refuse(
            lambda: push(open_repository(connect, harbor, "small/app", "small", writable=True))
        )
        assert isinstance(error, QuotaExceededError)
        assert error.exit_status == 5
        assert "configured upper limit" in error.message

    def test_read_only_mode_is_named(self, connect, harbor):
        harbor.read_only = True
        repository = open_repository(connect, harbor, "airgap/app", "pusher", writable=True)
        error = refuse(lambda: push(repository))
        assert isinstance(error, ReadOnlyRegistryError)
        assert error.exit_status == 7
        assert "read only mode" in error.message
        assert "login" not in error.hint

    def test_immutable_tag_is_a_conflict(self, connect, harbor):
        harbor.projects["airgap"].immutable.add("1")
        repository = open_repository(connect, harbor, "airgap/app", "pusher", writable=True)
        error = refuse(lambda: repository.put_manifest("1", OCI_MANIFEST, b"{}"))
        assert isinstance(error, ConflictError)
        assert "configured as immutable" in error.message

    @pytest.mark.parametrize("method", ["get_manifest", "head_manifest"])
    def test_name_without_project_is_explained(self, connect, harbor, method):
        """A HEAD is answered with 400 and no reason."""
        repository = open_repository(connect, harbor, "app", "pusher")
        error = refuse(lambda: getattr(repository, method)("1"))
        assert isinstance(error, RefusedNameError)
        assert error.exit_status == 2
        assert "invalid repository name: app" in error.message


def sends_password(registry):
    """Whether the password was sent to anything but the token service."""
    return any(
        request.headers.get("authorization", "").startswith("Basic ")
        for request in registry.find_requests(".*", "^/v2/")
    )


def test_short_password_does_not_garble_the_reason(connect, harbor):
    """Each letter of a password is also a letter of the reason."""
    harbor.add_robot("short", "s", "airgap", ())
    repository = Repository(connect(harbor, Credentials("short", "s")), "airgap/app")
    error = refuse(lambda: repository.get_manifest("1"))
    assert "unauthorized to access repository: airgap/app, action: pull" in error.message


class TestTokenServices:
    def test_refusal_of_scope_is_not_a_wrong_password(self, connect):
        """GitLab and Quay deny a scope with 403; a token without a scope proves the password."""
        body = json.dumps({"errors": [{"code": "DENIED", "message": "access forbidden"}]}).encode()
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", r"^/token.*scope=", status=403, body=body, times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
        assert isinstance(error, DeniedError)
        assert (error.action, error.repository) == ("pull", f"{registry.host}/a/b")
        assert "access forbidden" in error.message
        assert "login" not in error.hint

    @pytest.mark.parametrize("status", [401, 403])
    def test_reason_of_token_service_is_shown(self, connect, status):
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"account locked"}]}'
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", "^/token", status=status, body=body, times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
        assert isinstance(error, UnauthorizedError)
        assert "account locked" in error.message
        assert error.hint == f"airbundle login {registry.host}"

    def test_deep_name_is_refused_as_name(self, connect):
        """Quay's token service answers 400 to a name with too many parts."""
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", r"^/token.*scope=", status=400, body=b"{}", times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b/c").get_manifest("1"))
        assert isinstance(error, RefusedNameError)

    def test_missing_right_with_good_token_is_denied(self, connect):
        """Quay and GitLab issue a token with fewer rights, then answer insufficient_scope."""
        with FakeRegistry(auth="bearer") as registry:
            registry.add_image("a/b", "1")
            challenge = (
                f'Bearer realm="{registry.url}/token",service="x",error="insufficient_scope"'
            )
            body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authorization failed"}]}'
            session = connect(registry, USER)
            Repository(session, "a/b").get_manifest("1")
            headers = {"WWW-Authenticate": challenge}
            registry.fail(".*", "/blobs/", status=401, headers=headers, body=body, times=None)
            error = refuse(lambda: push(Repository(session, "a/b", writable=True)))
        assert isinstance(error, DeniedError)
        assert "authorization failed" in error.message
        assert not sends_password(registry)


class TestBasic:
    def test_refusal_after_accepted_credentials_is_denied(self, connect):
        with FakeRegistry(auth="basic") as registry:
            registry.add_image("a/b", "1")
            session = connect(registry, USER)
            Repository(session, "a/b").get_manifest("1")
            registry.fail("POST", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
            error = refuse(lambda: push(Repository(session, "a/b", writable=True)))
        assert isinstance(error, DeniedError)
        assert error.action == "push"

    def test_refusal_of_first_repository_is_denied_if_the_registry_accepts_the_credentials(
        self, connect
    ):
        with FakeRegistry(auth="basic") as registry:
            headers = {"WWW-Authenticate": 'Basic realm="x"'}
            registry.fail("GET", "/manifests/", status=401, headers=headers, times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
        assert isinstance(error, DeniedError)


class TestStatuses:
    """Each status has its type and exit status, even if the body is the web page of a proxy."""

    @pytest.mark.parametrize("html", [False, True])
    @pytest.mark.parametrize(
        ("method", "status", "expected", "exit_status"),
        [
            ("POST", 413, RefusedRequestError, 1),
            ("PUT", 413, RefusedRequestError, 1),
            ("POST", 507, QuotaExceededError, 5),
            ("POST", 403, DeniedError, 7),
            ("GET", 403, DeniedError, 7),
            ("GET", 404, NotFoundError, 9),
            ("POST", 404, NotFoundError, 9),
            ("GET", 400, RefusedNameError, 2),
            ("POST", 400, RefusedRequestError, 1),
            ("GET", 418, RefusedRequestError, 1),
            ("POST", 405, ReadOnlyRegistryError, 7),
            ("PUT", 409, ConflictError, 10),
            ("GET", 503, RegistryError, 6),
        ],
    )
    def test_status_decides(self, registry, session, method, status, expected, exit_status, html):
        registry.fail(method, status=status, html=html, times=None)
        error = refuse(lambda: session.request(method, "/v2/a/b/blobs/x", subject="a/b"))
        assert type(error) is expected
        assert error.exit_status == exit_status
        assert error.exchange.status == status

    @pytest.mark.parametrize(
        ("status", "code", "text", "expected"),
        [
            (403, "DENIED", "Quota has been exceeded on namespace", QuotaExceededError),
            (500, "UNKNOWN", "write /data/x: no space left on device", QuotaExceededError),
            (500, "UNKNOWN", "unknown error", RegistryError),
            (413, "", "Datastore disk usage is too high", QuotaExceededError),
            (405, "UNSUPPORTED", "Quay is in read-only mode", ReadOnlyRegistryError),
            (405, "UNSUPPORTED", "The operation is unsupported.", ReadOnlyRegistryError),
            (404, "NAME_UNKNOWN", "The repository with name 'a/b' does not exist", NotFoundError),
            (400, "ImageTagAlreadyExistsException", "already exists", ConflictError),
            (400, "", "tag is immutable and cannot be overwritten", ConflictError),
            (400, "", "repository does not allow updating assets: hosted", ConflictError),
            (404, "MANIFEST_BLOB_UNKNOWN", "blob unknown", RefusedRequestError),
            (403, "DENIED", "Your authorization token has expired", DeniedError),
        ],
    )
    def test_condition_of_other_registries_is_recognized(
        self, registry, repository, status, code, text, expected
    ):
        body = json.dumps({"errors": [{"code": code, "message": text}]}).encode()
        registry.fail("PUT", status=status, body=body, times=None)
        error = refuse(lambda: repository.put_manifest("1", OCI_MANIFEST, b"{}"))
        assert type(error) is expected
        assert text in error.message
        assert error.hint


class TestReasons:
    """The text of a refusal is shown, regardless of its format."""

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize(
        ("content_type", "body", "reason"),
        [
            ("application/json", b'{"details":"incorrect user name"}', "incorrect user name"),
            ("application/json", b'{"detail":"token expired"}', "token expired"),
            ("application/json", b'{"message":"Forbidden by rule 7"}', "Forbidden by rule 7"),
            ("application/problem+json", b'{"title":"No","detail":"IP denied"}', "IP denied"),
            (
                "application/json",
                b'{"error":"invalid_scope","error_description":"too deep"}',
                "invalid_scope: too deep",
            ),
            (
                "application/xml",
                b"<Error><Code>AccessDenied</Code><Message>No access</Message></Error>",
                "AccessDenied: No access",
            ),
            ("text/plain; charset=utf-8", b"IP 192.0.2.1 is not allowed\n", "IP 192.0.2.1 is not"),
            (
                "application/json",
                b'{"errors":[{"code":"DENIED","message":"denied","detail":"no such plan"}]}',
                "DENIED: denied (no such plan)",
            ),
            (
                "application/json",
                b'{"errors":[{"code":"DENIED","detail":{"message":"type not allowed"}}]}',
                "DENIED (type not allowed)",
            ),
        ],
    )
    def test_reason_of_registry_is_shown(
        self, registry, repository, status, content_type, body, reason
    ):
        headers = {"Content-Type": content_type}
        registry.fail("GET", status=status, headers=headers, body=body, times=None)
        assert reason in refuse(lambda: repository.get_manifest("1")).message

    def test_reason_of_token_service_is_shown(self, connect):
        body = b'{"details":"incorrect user name"}'
        headers = {"Content-Type": "application/json"}
        with FakeRegistry(auth="bearer") as registry:
            registry.fail("GET", "^/token", status=401, headers=headers, body=body, times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
        assert "incorrect user name" in error.message

    def test_reason_of_challenge_is_shown(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            text = 'error="insufficient_scope",error_description="push needs a license"'
            challenge = f'Bearer realm="{registry.url}/token",service="x",{text}'
            headers = {"WWW-Authenticate": challenge}
            registry.fail("GET", "/manifests/", status=401, headers=headers, times=None)
            error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
        assert isinstance(error, DeniedError)
        assert "DENIED: push needs a license" in error.message


class TestProxies:
    def test_proxy_that_requires_credentials_is_status_7(self, connect, registry):
        registry.fail(status=407, html=True, times=None)
        error = refuse(lambda: connect(registry).request("GET", "/v2/", subject="a/b"))
        assert isinstance(error, UnauthorizedError)
        assert "HTTP_PROXY" in error.hint

    @pytest.mark.parametrize(
        ("password", "expected"), [("wrong", UnauthorizedError), ("right", RegistryError)]
    )
    def test_refused_tunnel_is_not_retried(self, connect, password, expected):
        """The proxy also answers for a registry that does not exist."""
        with FakeProxy("me", "right") as proxy:
            session = connect(
                proxy, host="registry.invalid", proxy=f"http://me:{password}@{proxy.host}", **HTTPS
            )
            error = refuse(lambda: session.request("GET", "/v2/", subject="a/b"))
        assert type(error) is expected
        assert error.temporary is (password == "right")

    def test_tunnel_that_a_proxy_denies_is_status_7(self, connect):
        with FakeProxy("me", "right", denies=True) as proxy:
            session = connect(
                proxy, host="registry.invalid", proxy=f"http://me:right@{proxy.host}", **HTTPS
            )
            error = refuse(lambda: session.request("GET", "/v2/", subject="a/b"))
        assert isinstance(error, DeniedError)
        assert not error.temporary

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
    def test_web_page_is_not_a_response(self, session, registry, method):
        """A login page answers 200 to every request; running again does not help."""
        registry.fail(status=200, html=True, times=None)
        error = refuse(lambda: session.request(method, "/v2/a/b/blobs/x", subject="a/b"))
        assert isinstance(error, RefusedRequestError)
        assert error.exit_status == 1

    def test_network_that_requires_a_login_is_permanent(self, session, registry):
        registry.fail(status=511, html=True, times=None)
        error = refuse(lambda: session.request("GET", "/v2/", subject="a/b"))
        assert isinstance(error, RefusedRequestError)
        assert "log in" in error.hint

    @pytest.mark.parametrize("status", [520, 521, 522, 523, 524])
    def test_unavailable_origin_of_a_cdn_is_temporary(self, session, registry, status):
        registry.fail(status=status, html=True)
        session.request("GET", "/v2/", subject="a/b").close()
        assert registry.count("GET") == 2


def test_connection_closed_by_ecr_suggests_to_create_the_repository(connect, registry):
    """ECR closes the connection of a POST to a repository that does not exist."""
    host = "1234.dkr.ecr.eu-central-1.amazonaws.com"
    session = connect(registry, host=host, proxy=registry.url)
    registry.fail("POST", drop=True, times=None)
    error = refuse(lambda: push(Repository(session, "a/b", writable=True)))
    assert "create the repository" in error.hint


def test_missing_repository_does_not_suggest_login_after_accepted_credentials(connect):
    with FakeRegistry(auth="bearer") as registry:
        error = refuse(lambda: Repository(connect(registry, USER), "a/b").get_manifest("1"))
    assert isinstance(error, NotFoundError)
    assert "login" not in error.hint


class TestEarlyResponses:
    """A proxy refuses an upload as soon as it knows its size, and closes the connection."""

    @pytest.mark.parametrize("with_tls", [False, True])
    def test_early_413_is_read(self, connect, with_tls):
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if with_tls else None
        if context is not None:
            authority.issue_cert("127.0.0.1").configure_cert(context)
        data = bytes(32 * 1024 * 1024)
        with FakeRegistry(tls=context) as registry:
            registry.fail("PATCH", status=413, html=True, early=True, times=None)
            tls = TlsConfig(verify=False, plain_http=not with_tls)
            repository = Repository(connect(registry, tls=tls), "a/b", writable=True)
            stream = VerifiedReader(BytesIO(data), "x", digest=Digest.of(data), size=len(data))
            error = refuse(lambda: Uploads(repository).push(Digest.of(data), stream))
        assert isinstance(error, RefusedRequestError)
        assert error.status == 413
        assert "proxy" in error.message
