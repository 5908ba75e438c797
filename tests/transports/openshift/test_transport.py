"""Image streams of OpenShift: references, credentials, and servers that misbehave."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler import transports
from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.errors import (
    BundlerError,
    ConfigError,
    DeniedError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UnauthorizedError,
    UnsupportedError,
)
from bundler.oci.digest import Digest
from bundler.ports import Node
from tests.contracts.contents import publish, push_all, read_rest
from tests.contracts.signatures import OTHER_SIMPLE, SIMPLE, sigstore
from tests.fakes.memory import MemoryStore
from tests.fakes.openshift import FakeOpenShift, create_object, create_status
from tests.fakes.registry import OCI_LAYER
from tests.transports.openshift.clusters import AUTHORITY, TOKEN, ClusterUser, encode

STREAM = "/oapi/v1/namespaces/tests/imagestreams/app"


@pytest.fixture
def digest(registry):
    """The digest of the image of the tag ``app``."""
    return Digest(registry.add_image("tests/app", "app"))


def resolve(user):
    with closing(user.source()) as source:
        return source.resolve(user.reference.name)


def test_reference_is_equal_when_parsed_again():
    reference = transports.parse("atomic:example.com:8443/project/stream:1")
    assert transports.parse(str(reference)) == reference
    assert reference.name == "1"


@pytest.mark.parametrize(
    "rest", ["", "h/ns/stream", "h/a/b/c:1", "h/a/b@sha256:0", "h.example/../b:1", "ns/stream:1:2"]
)
def test_invalid_image_stream_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"atomic:{rest}")


def test_tag_is_resolved_by_the_api_server(user, cluster, digest):
    assert resolve(user).digest == digest
    assert cluster.requests == [("GET", STREAM, f"Bearer {TOKEN}")]


def test_image_of_another_repository_is_read_there(user, cluster, registry):
    other = registry.add_image("other/app", None, [b"other"])
    registry.add_image("tests/app", "app", [b"own"])
    cluster.external["tests/app", "tracked"] = f"172.30.1.1:5000/other/app@{other}"
    with closing(user.source()) as source:
        assert source.resolve("tracked").digest.text == other
        assert source.resolve("app").digest.text != other
        assert source.tags() == ["app", "tracked"]
        for layer in (b"own", b"other"):
            with source.open(Node("layer", OCI_LAYER, Digest.of(layer), len(layer))) as stream:
                assert read_rest(stream) == layer


@pytest.mark.parametrize("tag", ["absent", "empty"])
def test_tag_without_an_image_is_not_found(user, digest, tag):
    with closing(user.source()) as source, pytest.raises(NotFoundError, match=tag):
        source.resolve(tag)


def test_absent_image_stream_is_not_found(user):
    with pytest.raises(NotFoundError, match="image stream tests/app"):
        resolve(user)


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, UnauthorizedError), (403, DeniedError), (404, NotFoundError), (500, RegistryError)],
)
def test_refusal_is_reported_by_its_status(user, cluster, digest, status, expected):
    cluster.answers[STREAM] = create_status(status, "Reason", f"no {TOKEN}")
    with pytest.raises(expected) as raised:
        resolve(user)
    assert TOKEN not in f"{raised.value} {raised.value.hint}"


def test_redirect_is_not_followed(user, cluster, digest):
    with FakeOpenShift(cluster.registry) as other:
        cluster.answers[STREAM] = (302, {"Location": f"{other.url}{STREAM}"}, b"")
        with pytest.raises(RegistryError, match="302"):
            resolve(user)
        assert not other.requests


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"status": []}',
        b'{"status": {"tags": [1]}}',
        b'{"status": {"tags": [{"tag": "app", "items": [{"image": "x"}]}]}}',
        b'{"status": {"tags": [{"items": [{"dockerImageReference": "h/a/b"}]}]}}',
        b"[" * 100_000,
    ],
)
def test_malformed_image_stream_is_refused(user, cluster, body):
    cluster.answers[STREAM] = (200, {}, body)
    with pytest.raises((MalformedError, LimitError)):
        resolve(user)


@pytest.mark.parametrize("text", ["app", "h/", "h/../../x@sha256:0", "h/A:1", "h/a b", "h/a@h/b"])
def test_invalid_reference_of_the_server_is_refused(user, cluster, text):
    tag = {"tag": "app", "items": [{"dockerImageReference": text}]}
    cluster.answers[STREAM] = create_object("ImageStream", status={"tags": [tag]})
    with pytest.raises(MalformedError, match="invalid reference"):
        resolve(user)


def test_too_large_response_is_refused(user, cluster):
    cluster.answers[STREAM] = (200, {}, b" " * (5 * 1024 * 1024))
    with pytest.raises(LimitError):
        resolve(user)


def test_server_with_an_unknown_certificate_is_refused(user, cluster, digest):
    user.configure(**{"certificate-authority-data": ""})
    with pytest.raises(RegistryError, match="certificate"):
        resolve(user)
    assert not cluster.requests


def test_unverified_server_is_used_if_kubeconfig_permits_it(user, digest):
    user.configure(**{"certificate-authority-data": "", "insecure-skip-tls-verify": True})
    assert resolve(user).digest == digest


def test_user_name_and_password_are_sent(user, cluster, digest):
    cluster.authorization = f"Basic {encode(b'me:secret')}"
    user.configure({"username": "me", "password": "secret"})
    user.credentials = RegistryOverride(credentials=Credentials("openshift", TOKEN))
    assert resolve(user).digest == digest


def test_client_certificate_is_presented(user, cluster, digest):
    import ssl  # noqa: PLC0415 - of this test only

    cluster.tls.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(cluster.tls)
    cluster.authorization = None
    user.credentials = RegistryOverride(credentials=Credentials("openshift", TOKEN))
    mine = AUTHORITY.issue_cert("me@example.com")
    certificate, key = mine.cert_chain_pems[0].bytes(), mine.private_key_pem.bytes()
    user.configure({"client-certificate-data": encode(certificate), "client-key-data": encode(key)})
    assert resolve(user).digest == digest


def test_unusable_client_certificate_is_reported(user, digest):
    data = {"client-certificate-data": encode(b"secret"), "client-key-data": encode(b"secret")}
    user.configure(data)
    with pytest.raises(ConfigError, match="not a usable client certificate"):
        resolve(user)


def test_unusable_authority_is_reported(user, digest):
    user.configure(**{"certificate-authority-data": encode(b"\xff")})
    with pytest.raises(ConfigError, match="not a usable certificate authority"):
        resolve(user)


def test_credentials_are_not_sent_without_tls(registry, tmp_path):
    registry.auth = None
    found = registry.add_image("tests/app", "app")
    with FakeOpenShift(registry) as cluster:
        assert resolve(ClusterUser(cluster, tmp_path)).digest.text == found
        assert cluster.requests == [("GET", STREAM, None)]


def find_passwords(registry):
    return {request.headers.get("authorization") for request in registry.requests} - {None}


def test_configured_credentials_take_precedence_over_the_token(user, registry, digest):
    registry.username, registry.password = "robot", "own"
    entry = {"auth": encode(b"robot:own")}
    user.authfile.write_text(json.dumps({"auths": {registry.host: entry}}))
    assert resolve(user).digest == digest
    assert find_passwords(registry) == {f"Basic {encode(b'robot:own')}"}


@pytest.mark.parametrize("public", [True, False])
def test_token_is_sent_to_registries_of_the_cluster_only(tmp_path, registry, public):
    """The API server is on another host, and names the registry or not."""
    from tests.transports.openshift.clusters import create_server_context  # noqa: PLC0415 - as below

    registry.add_image("tests/app", "app")
    tls = create_server_context()
    with FakeOpenShift(registry, tls=tls, public=public, address="127.0.0.2") as cluster:
        user = ClusterUser(cluster, tmp_path)
        if public:
            resolve(user)
        else:
            with pytest.raises(UnauthorizedError):
                resolve(user)
        with closing(user.destination()) as destination:
            if public:
                assert destination.resolve("app")
            else:
                with pytest.raises(UnauthorizedError):
                    destination.resolve("app")
    assert bool(find_passwords(registry)) is public


def test_only_atomic_signatures_are_returned(user, cluster, digest):
    cluster.add_signature(digest.text, SIMPLE)
    cluster.add_signature(digest.text, b"other", "cosign")
    with closing(user.source()) as source:
        assert source.signatures(digest) == [SIMPLE]


def test_signatures_of_another_image_are_refused(user, cluster, digest):
    path = f"/oapi/v1/namespaces/tests/imagestreamimages/app@{digest}"
    other = {"metadata": {"name": "sha256:" + "0" * 64}, "signatures": []}
    cluster.answers[path] = create_object("ImageStreamImage", image=other)
    with closing(user.source()) as source, pytest.raises(MalformedError, match="another image"):
        source.signatures(digest)


def test_too_many_signatures_are_refused(user, cluster, digest):
    for number in range(129):
        cluster.add_signature(digest.text, b"\x90%d" % number)
    with closing(user.source()) as source, pytest.raises(LimitError, match="signatures"):
        source.signatures(digest)


def test_signature_that_is_not_base64_is_refused(user, cluster, digest):
    cluster.signatures[digest.text] = [{"type": "atomic", "content": "%"}]
    with closing(user.source()) as source, pytest.raises(MalformedError, match="base64"):
        source.signatures(digest)


def write(user, *signatures):
    store = MemoryStore()
    root = store.add_image(layers=[b"layer"])
    with closing(user.destination()) as destination:
        push_all(destination, store)
        destination.push_signatures(root.digest, list(signatures))
        publish(destination, root, "app")
    return root.digest.text


def test_new_signature_has_the_name_of_its_image(user, cluster):
    digest = write(user, SIMPLE, SIMPLE)
    (stored,) = cluster.signatures[digest]
    name, _, suffix = stored.pop("metadata")["name"].partition("@")
    assert (name, len(suffix)) == (digest, 32)
    assert stored == {
        "kind": "ImageSignature",
        "apiVersion": "v1",
        "type": "atomic",
        "content": encode(SIMPLE),
    }


def test_stored_signatures_are_not_repeated(user, cluster):
    digest = write(user, SIMPLE)
    assert write(user, SIMPLE, OTHER_SIMPLE) == digest
    contents = [item["content"] for item in cluster.signatures[digest]]
    assert contents == [encode(SIMPLE), encode(OTHER_SIMPLE)]


def test_image_without_signatures_sends_nothing_to_the_image_api(user, cluster):
    write(user)
    assert not cluster.requests


def test_sigstore_signature_is_refused_before_content_is_written(user, registry):
    with closing(user.destination()) as destination:
        with pytest.raises(UnsupportedError, match="simple signatures only"):
            destination.check_signatures(Digest.of(b"x"), [SIMPLE, sigstore()])
        with pytest.raises(UnsupportedError):
            destination.push_signatures(Digest.of(b"x"), [sigstore()])
    assert not registry.requests


def test_refused_signature_fails_the_commit(user, cluster):
    cluster.answers["/oapi/v1/imagesignatures"] = create_status(403, "Forbidden", "no")
    with pytest.raises(BundlerError, match="access denied"):
        write(user, SIMPLE)
