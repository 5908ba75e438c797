"""The client with a real docker-registry: plain, with TLS and passwords, and with tokens."""

from __future__ import annotations

import uuid
from io import BytesIO

import pytest

from bundler.config.registry_access import ANONYMOUS, Credentials, RegistryAccess, TlsConfig
from bundler.content.streams import VerifiedReader
from bundler.errors import DeniedError, NotFoundError, RegistryError, UnauthorizedError
from bundler.oci.digest import Digest
from bundler.registry.repository import Repository
from bundler.registry.session import Session
from bundler.registry.uploads import MAX_SINGLE_PUT, Uploads
from tests.fakes import images
from tests.interop import servers

pytestmark = pytest.mark.interop

LARGE = bytes(range(256)) * (MAX_SINGLE_PUT // 256 * 2) + b"end"
STARTS = {
    "plain": servers.registry,
    "tls": servers.tls_registry,
    "token": servers.token_registry,
}


@pytest.fixture(scope="module", params=STARTS)
def running(request, tmp_path_factory):
    with STARTS[request.param](tmp_path_factory.mktemp(request.param)) as registry:
        yield registry


@pytest.fixture
def session(running):
    with_password = running.username is not None
    credentials = Credentials(running.username, running.password) if with_password else ANONYMOUS
    opened = Session(access(running, credentials))
    yield opened
    opened.close()


def access(running, credentials) -> RegistryAccess:
    tls = TlsConfig(plain_http=True) if running.ca is None else TlsConfig(ca_files=(running.ca,))
    return RegistryAccess(running.host, credentials, tls)


@pytest.fixture
def repository(session):
    return Repository(session, f"tests/{uuid.uuid4().hex[:12]}", writable=True)


def content(data: bytes) -> VerifiedReader:
    return VerifiedReader(BytesIO(data), "test", digest=Digest.of(data), size=len(data))


def push(repository: Repository, image: images.Image, tag: str) -> None:
    uploads = Uploads(repository)
    for blob in image.all_blobs():
        uploads.push(Digest(blob.digest), content(blob.data))
    for manifest in image.manifests():
        repository.put_manifest(Digest(manifest.digest), manifest.media_type, manifest.data)
    repository.put_manifest(tag, image.root.media_type, image.root.data)


def test_image_is_pushed_and_pulled(repository):
    image = images.multi_platform("app", "linux/amd64", "linux/arm64")
    push(repository, image, "1")
    descriptor, raw = repository.get_manifest("1")
    assert (descriptor.digest.text, raw) == (image.digest, image.root.data)
    assert repository.head_manifest("1") == descriptor
    assert repository.head_manifest("2") is None
    assert repository.list_tags() == ["1"]
    assert repository.list_referrers(descriptor.digest) == []


@pytest.mark.parametrize("data", [b"", b"small", LARGE], ids=["empty", "small", "large"])
def test_blob_is_pushed_and_pulled(repository, data):
    digest = Digest.of(data)
    uploads = Uploads(repository)
    assert not repository.has_blob(digest)
    assert uploads.push(digest, content(data)).digest == digest
    assert repository.has_blob(digest)
    for offset in (0, len(data) // 2):
        with repository.open_blob(digest, len(data), offset) as stream:
            read = VerifiedReader(stream, "", digest=Digest.of(data[offset:]), size=None).read()
        assert read == data[offset:]


def test_stream_of_unknown_length_is_pushed(repository):
    making = VerifiedReader(BytesIO(LARGE), "test", digest=None, size=None)
    assert Uploads(repository).push(None, making).digest == Digest.of(LARGE)


def test_blob_is_pushed_in_chunks(session, repository):
    session.upload_chunk = 3 * 1024 * 1024
    digest = Digest.of(LARGE)
    Uploads(repository).push(digest, content(LARGE))
    with repository.open_blob(digest, len(LARGE)) as stream:
        assert VerifiedReader(stream, "", digest=digest, size=len(LARGE)).read() == LARGE


def test_blob_is_mounted(session, repository):
    origin = Repository(session, f"{repository.path}/origin", writable=True)
    digest = Digest.of(LARGE)
    Uploads(origin).push(digest, content(LARGE))
    assert Uploads(repository).mount(digest, origin.path)
    assert repository.has_blob(digest)
    assert not Uploads(repository).mount(Digest.of(b"absent"), origin.path)


def test_interrupted_push_succeeds_after_retry(repository):
    """This registry discards an interrupted PATCH, so the push is restarted."""
    failure = RegistryError("the source was interrupted", temporary=True)

    class Cut(BytesIO):
        def readinto(self, buffer):
            if self.tell() > MAX_SINGLE_PUT:
                raise failure
            return super().readinto(buffer)

    digest = Digest.of(LARGE)
    uploads = Uploads(repository)
    broken = VerifiedReader(Cut(LARGE), "test", digest=digest, size=len(LARGE))
    with pytest.raises(RegistryError) as raised:
        uploads.push(digest, broken)
    assert raised.value is failure
    again = content(LARGE)
    again.skip(uploads.find_offset(digest))
    uploads.push(digest, again)
    assert repository.has_blob(digest)


def test_manifest_is_deleted(repository):
    image = images.image()
    push(repository, image, "1")
    repository.delete_manifest(Digest(image.digest))
    assert repository.head_manifest("1") is None
    with pytest.raises(NotFoundError):
        repository.delete_manifest(Digest(image.digest))


def test_wrong_credentials_are_unauthorized(running):
    wrong = Credentials(running.username or "somebody", "wrong")
    for credentials in (ANONYMOUS, wrong) if running.username else ():
        session = Session(access(running, credentials))
        with pytest.raises(UnauthorizedError):
            session.ping()
        session.close()


def test_refused_token_is_renewed(tmp_path):
    """The registry refuses a token before the token service's expiry."""
    with servers.token_registry(tmp_path) as running:
        session = Session(access(running, Credentials(running.username, running.password)))
        repository = Repository(session, "tests/app", writable=True)
        push(repository, images.image(), "1")
        running.issuer.lifetime = -3600
        useless = Session(access(running, Credentials(running.username, running.password)))
        with pytest.raises(DeniedError):
            Repository(useless, "tests/app").list_tags()
        running.issuer.lifetime = 300
        assert Repository(useless, "tests/app").list_tags() == ["1"]
        useless.close()
        session.close()
