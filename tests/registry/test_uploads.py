"""Uploads of blobs, which are atomic and can be resumed."""

from __future__ import annotations

import os
import random
import statistics
from io import BytesIO

import pytest

from bundler.cancel import Cancellation
from bundler.config.registry_access import Credentials
from bundler.content.streams import VerifiedReader
from bundler.copy.blob_transfer import push_blob
from bundler.errors import (
    DigestMismatchError,
    MediumError,
    MisreportedDigestError,
    RefusedRequestError,
    RegistryError,
    SizeMismatchError,
)
from bundler.events import discard
from bundler.oci.digest import Digest
from bundler.ports import Capabilities, Node
from bundler.registry.repository import Repository
from bundler.registry.upload_journal import UploadJournal
from bundler.registry.uploads import MAX_SINGLE_PUT, Uploads
from tests.fakes.memory import MemoryDestination, MemoryStore
from tests.fakes.registry import FakeRegistry


class _Destination(MemoryDestination):
    """A destination that uploads to a repository."""

    def __init__(self, repository, journal=None):
        super().__init__(MemoryStore(), Capabilities())
        self._uploads = Uploads(repository, journal)

    def offset(self, target):
        return self._uploads.find_offset(target.digest)

    def push(self, target, content, /):
        return self._uploads.push(target.digest, content)


LARGE = bytes(range(256)) * (MAX_SINGLE_PUT // 256 * 2) + b"end"


@pytest.fixture
def uploads(repository):
    return Uploads(repository)


@pytest.fixture
def stored(registry):
    return registry.repository("library/app")


def content(data: bytes, *, digest=None, size=None) -> VerifiedReader:
    return VerifiedReader(
        BytesIO(data),
        "test",
        digest=digest or Digest.of(data),
        size=len(data) if size is None else size,
    )


@pytest.mark.parametrize(
    ("data", "requests"),
    [
        (b"", ["POST", "PUT"]),
        (b"small", ["POST", "PUT"]),
        (LARGE[:MAX_SINGLE_PUT], ["POST", "PUT"]),
        (LARGE, ["POST", "PATCH", "PUT"]),
    ],
)
def test_small_and_large_blobs_are_pushed(registry, uploads, stored, data, requests):
    descriptor = uploads.push(Digest.of(data), content(data))
    assert (descriptor.digest, descriptor.size) == (Digest.of(data), len(data))
    assert stored.blobs == {str(Digest.of(data)): data}
    assert [request.method for request in registry.requests] == requests
    assert stored.uploads == {}


CHUNK = 3 * 1024 * 1024


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5])
def test_requests_of_an_upload_are_limited(connect, registry, size, known):
    data = LARGE[:size]
    uploads = Uploads(Repository(connect(registry, upload_chunk=CHUNK), "a/b", writable=True))
    stream = (
        content(data) if known else VerifiedReader(BytesIO(data), "test", digest=None, size=None)
    )
    assert uploads.push(Digest.of(data) if known else None, stream).digest == Digest.of(data)
    assert registry.repository("a/b").blobs == {str(Digest.of(data)): data}
    patches = registry.find_requests("PATCH")
    lengths = [int(request.headers.get("content-length", 0)) for request in patches]
    assert max(lengths, default=0) <= CHUNK
    if known and size > CHUNK:
        assert sum(lengths) == size
        assert patches[1].headers["content-range"].startswith(f"{CHUNK}-")


def test_interrupted_chunk_is_resumed(connect, registry):
    uploads = Uploads(Repository(connect(registry, upload_chunk=CHUNK), "a/b", writable=True))
    registry.fail("PATCH", times=1, cut_after=1000)
    with pytest.raises(RegistryError) as raised:
        uploads.push(Digest.of(LARGE), content(LARGE))
    assert raised.value.temporary
    again = content(LARGE)
    again.skip(uploads.find_offset(Digest.of(LARGE)))
    assert again.position == 1000
    uploads.push(Digest.of(LARGE), again)
    assert registry.repository("a/b").blobs == {str(Digest.of(LARGE)): LARGE}


@pytest.mark.parametrize(
    ("limit", "step"), [(None, "--upload-chunk 90MiB"), (CHUNK, "3,145,728 bytes")]
)
def test_refused_size_suggests_another_limit(connect, registry, limit, step):
    uploads = Uploads(Repository(connect(registry, upload_chunk=limit), "a/b", writable=True))
    registry.fail("PATCH", status=413, html=True)
    with pytest.raises(RefusedRequestError) as raised:
        uploads.push(Digest.of(LARGE), content(LARGE))
    assert raised.value.status == 413
    assert step in raised.value.hint


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_blob_of_unknown_digest_is_pushed(registry, uploads, stored, data):
    """Neither the size nor the digest is known before the end."""
    making = VerifiedReader(BytesIO(data), "test", digest=None, size=None)
    assert uploads.push(None, making).digest == Digest.of(data)
    assert list(stored.blobs.values()) == [data]
    assert registry.find_requests("PATCH")[0].headers["transfer-encoding"] == "chunked"


@pytest.mark.parametrize("data", [b"small", LARGE])
def test_wrong_digest_leaves_no_blob(registry, uploads, stored, data):
    wrong = content(data, digest=Digest.of(b"other"))
    with pytest.raises(DigestMismatchError):
        uploads.push(Digest.of(b"other"), wrong)
    assert stored.blobs == stored.uploads == {}


def test_truncated_source_leaves_no_blob(uploads, stored):
    with pytest.raises(SizeMismatchError):
        uploads.push(Digest.of(LARGE), content(LARGE, size=len(LARGE) + 1))
    assert stored.blobs == stored.uploads == {}


def test_failure_of_source_is_raised_unchanged(uploads, stored):
    class Failing(BytesIO):
        def readinto(self, buffer):
            if self.tell() > MAX_SINGLE_PUT:
                raise MediumError("the medium was removed")
            return super().readinto(buffer)

    broken = VerifiedReader(Failing(LARGE), "test", digest=Digest.of(LARGE), size=len(LARGE))
    with pytest.raises(MediumError):
        uploads.push(Digest.of(LARGE), broken)
    assert stored.blobs == stored.uploads == {}


@pytest.mark.parametrize("cut", [1, 100_000, MAX_SINGLE_PUT, len(LARGE) - 10])
def test_interrupted_push_is_resumed(registry, uploads, stored, cut):
    digest = Digest.of(LARGE)
    registry.fail("PATCH", cut_after=cut)
    with pytest.raises(RegistryError) as caught:
        uploads.push(digest, content(LARGE))
    assert caught.value.temporary
    offset = uploads.find_offset(digest)
    assert offset == (0 if cut == 1 else cut)
    again = content(LARGE)
    again.skip(offset)
    uploads.push(digest, again)
    assert stored.blobs == {str(digest): LARGE}
    if offset and len(LARGE) - offset > MAX_SINGLE_PUT:
        assert (
            registry.find_requests("PATCH")[1].headers["content-range"] == f"{cut}-{len(LARGE) - 1}"
        )
    if offset:
        assert registry.count("POST") == 1


def test_lost_upload_is_restarted(registry, uploads, stored):
    digest = Digest.of(LARGE)
    registry.fail("PATCH", cut_after=MAX_SINGLE_PUT)
    with pytest.raises(RegistryError):
        uploads.push(digest, content(LARGE))
    stored.uploads.clear()
    assert uploads.find_offset(digest) == 0
    uploads.push(digest, content(LARGE))
    assert stored.blobs == {str(digest): LARGE}


LOST = b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown"}]}'


@pytest.mark.parametrize(("method", "data"), [("PUT", b"data"), ("PUT", LARGE), ("PATCH", LARGE)])
def test_upload_that_a_restarted_registry_lost_is_started_again(
    registry, repository, stored, method, data
):
    registry.fail(method, status=404, body=LOST)
    src = MemoryStore()
    node = Node("layer", "a/b", src.add_blob(data), len(data))
    push_blob(node, src.source(), _Destination(repository), Cancellation(), discard)
    assert stored.blobs == {str(node.digest): data}


def test_offset_without_upload_is_zero(uploads):
    assert uploads.find_offset(Digest.of(b"never pushed")) == 0


def test_cancellation_of_upload_is_not_retried(registry, uploads):
    """Cancellation does not wait for a failing registry."""
    registry.fail("DELETE", status=503, times=None)
    with pytest.raises(DigestMismatchError):
        uploads.push(Digest.of(b"other"), content(LARGE, digest=Digest.of(b"other")))
    assert registry.count("DELETE") == 1


def test_close_cancels_unfinished_uploads(registry, uploads, stored):
    registry.fail("PATCH", cut_after=MAX_SINGLE_PUT)
    with pytest.raises(RegistryError):
        uploads.push(Digest.of(LARGE), content(LARGE))
    assert len(stored.uploads) == 1
    uploads.close()
    assert stored.uploads == {}


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("data", [b"", b"small", LARGE])
def test_start_and_commit_are_retried(registry, uploads, stored, method, status, data):
    registry.fail(method, status=status, times=2)
    uploads.push(Digest.of(data), content(data))
    assert stored.blobs == {str(Digest.of(data)): data}


def test_commit_with_lost_response_succeeds(registry, uploads, stored):
    """The retried PUT finds no upload, but the blob exists."""
    digest = Digest.of(b"small")
    registry.add_blob("library/app", b"small")
    registry.fail("PUT", status=404, body=b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
    assert uploads.push(digest, content(b"small")).digest == digest


def test_other_stored_digest_is_refused(registry, uploads):
    registry.fail("PUT", digest_header="sha256:" + 64 * "0")
    with pytest.raises(MisreportedDigestError):
        uploads.push(Digest.of(b"small"), content(b"small"))


def test_token_that_expires_during_upload_is_a_temporary_error(connect):
    """The PATCH is refused; the next attempt uses a new token."""
    with FakeRegistry(auth="bearer") as registry:
        session = connect(registry, Credentials("user", "password"))
        uploads = Uploads(Repository(session, "library/app", writable=True))
        registry.fail("PATCH", status=401, headers={"WWW-Authenticate": 'Bearer realm="/"'})
        digest = Digest.of(LARGE)
        with pytest.raises(RegistryError) as caught:
            uploads.push(digest, content(LARGE))
        assert caught.value.temporary
        assert caught.value.exit_status == 6
        again = content(LARGE)
        again.skip(uploads.find_offset(digest))
        uploads.push(digest, again)
        assert list(registry.repositories["library/app"].blobs) == [str(digest)]


class TestLocations:
    def test_location_on_other_host_receives_no_credentials(self, connect):
        with FakeRegistry(auth="basic") as registry, FakeRegistry() as storage:
            session = connect(registry, Credentials("user", "password"))
            session.ping()
            uploads = Uploads(Repository(session, "library/app", writable=True))
            storage.repository("bucket").uploads["abc"] = bytearray()
            location = f"{storage.url}/v2/bucket/blobs/uploads/abc?sig=secret"
            registry.fail("POST", status=202, headers={"Location": location}, body=b"")
            uploads.push(Digest.of(b"small"), content(b"small"))
            assert list(storage.repository("bucket").blobs.values()) == [b"small"]
            assert "authorization" not in storage.requests[0].headers
            assert storage.requests[0].query["sig"] == ["secret"]

    @pytest.mark.parametrize(
        "location",
        ["", "ftp://127.0.0.1/", "http://169.254.169.254/x", "http://a:b@127.0.0.1/", "http://[/"],
    )
    def test_unusable_location_is_refused(self, registry, uploads, location):
        headers = {"Location": location} if location else {}
        registry.fail("POST", status=202, headers=headers, body=b"")
        with pytest.raises(RegistryError):
            uploads.push(Digest.of(b"small"), content(b"small"))

    def test_message_omits_secrets_in_location(self, registry, uploads):
        registry.fail("PUT", status=400)
        with pytest.raises(RegistryError) as caught:
            uploads.push(Digest.of(b"small"), content(b"small"))
        assert "secret" not in str(caught.value)
        assert "/blobs/uploads/" in str(caught.value)


class TestMounts:
    def test_mount_succeeds(self, registry, uploads, stored):
        digest = Digest(registry.add_blob("base/os", LARGE))
        assert uploads.mount(digest, "base/os")
        assert stored.blobs == {str(digest): LARGE}
        assert [request.method for request in registry.requests] == ["POST"]

    def test_refused_mount_starts_upload(self, registry, uploads, stored):
        registry.mounts = False
        digest = Digest(registry.add_blob("base/os", b"small"))
        assert not uploads.mount(digest, "base/os")
        uploads.push(digest, content(b"small"))
        assert registry.count("POST") == 1
        assert stored.blobs == {str(digest): b"small"}

    @pytest.mark.parametrize("status", [401, 403, 404, 405])
    def test_failed_mount_returns_false(self, registry, uploads, status):
        registry.fail("POST", status=status)
        assert not uploads.mount(Digest.of(b"x"), "base/os")

    def test_mount_requests_scope_of_source(self, connect):
        with FakeRegistry(auth="bearer") as registry:
            digest = Digest(registry.add_blob("base/os", b"x"))
            session = connect(registry, Credentials("user", "password"))
            uploads = Uploads(Repository(session, "library/app", writable=True))
            assert uploads.mount(digest, "base/os")
            assert set(registry.find_requests("GET", "^/token")[0].query["scope"]) == {
                "repository:library/app:pull,push",
                "repository:base/os:pull",
            }


@pytest.fixture
def journal(tmp_path):
    return UploadJournal(tmp_path / "records" / "uploads")


def interrupt_run(registry, repository, journal, cut):
    """Begin an upload in a run that is killed after ``cut`` bytes; return the blob."""
    registry.fail("PATCH", cut_after=cut)
    with pytest.raises(RegistryError):
        Uploads(repository, journal).push(Digest.of(LARGE), content(LARGE))
    return Digest.of(LARGE)


def push_again(repository, journal) -> int:
    """Push the blob in another run; return the bytes that the first run had sent."""
    src = MemoryStore()
    node = Node("layer", "a/b", src.add_blob(LARGE), len(LARGE))
    destination = _Destination(repository, journal)
    return push_blob(node, src.source(), destination, Cancellation(), discard)


@pytest.mark.parametrize("cut", [100_000, MAX_SINGLE_PUT, len(LARGE) - 10, len(LARGE)])
def test_upload_of_a_killed_run_is_resumed(registry, repository, stored, journal, cut):
    digest = interrupt_run(registry, repository, journal, cut)
    assert push_again(repository, journal) == cut
    assert stored.blobs == {str(digest): LARGE}
    assert stored.uploads == {}
    assert registry.count("POST") == 1
    assert journal.find(repository.name, digest) is None
    assert push_again(repository, journal) == 0


def test_sent_again_after_random_cuts_is_less_than_one_percent(
    registry, repository, stored, journal
):
    """The median of the bytes that the second run sends again."""
    random_cuts = random.Random(7)
    again = []
    for _ in range(9):
        stored.blobs.clear()
        cut = random_cuts.randrange(2, len(LARGE))
        interrupt_run(registry, repository, journal, cut)
        again.append(cut - push_again(repository, journal))
    assert statistics.median(again) < len(LARGE) / 100


@pytest.mark.parametrize("damage", ["upload removed", "other bytes", "no resumption", "garbage"])
def test_upload_that_cannot_be_resumed_begins_anew(
    registry, repository, stored, journal, tmp_path, damage
):
    digest = interrupt_run(registry, repository, journal, MAX_SINGLE_PUT)
    (file,) = (tmp_path / "records" / "uploads").iterdir()
    (upload,) = stored.uploads.values()
    if damage == "upload removed":
        stored.uploads.clear()
    elif damage == "other bytes":
        upload[0] ^= 1
    elif damage == "no resumption":
        registry.fail("GET", path="uploads", status=404, body=LOST)
    else:
        file.write_bytes(b"garbage")
    push_again(repository, journal)
    assert stored.blobs == {str(digest): LARGE}
    assert journal.find(repository.name, digest) is None


def test_journal_belongs_to_one_blob_and_repository_and_ends(repository, journal, tmp_path):
    digest = Digest.of(LARGE)
    journal.keep(repository.name, digest, "http://127.0.0.1/upload?_state=secret")
    (file,) = (tmp_path / "records" / "uploads").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert journal.find("other", digest) is None
    assert journal.find(repository.name, Digest.of(b"")) is None
    long_ago = file.read_bytes().replace(b'"started":"20', b'"started":"19')
    file.write_bytes(long_ago)
    assert journal.find(repository.name, digest) is None
    os.utime(file, (0, 0))
    journal.remove_old()
    assert not file.exists()


def test_journal_that_cannot_be_written_does_not_fail_the_upload(repository, stored, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    journal = UploadJournal(tmp_path / "file" / "uploads")
    assert push_again(repository, journal) == 0
    assert stored.blobs == {str(Digest.of(LARGE)): LARGE}
