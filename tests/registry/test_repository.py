"""Requests for manifests, blobs, tags and referrers, and checks of the responses."""

from __future__ import annotations

import json
import time

import pytest

from bundler.config.registry_access import ANONYMOUS
from bundler.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MisreportedDigestError,
    NotFoundError,
    RegistryError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.events import WarningIssued
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.registry import pagination, repository as repository_module
from bundler.registry.repository import Repository, to_fallback_tag
from tests.fakes.registry import FakeRegistry

BLOB = bytes(range(256)) * 1000


def read(stream) -> bytes:
    """Read the whole stream in chunks of odd size."""
    buffer, data = memoryview(bytearray(70_001)), bytearray()
    while count := stream.readinto(buffer):
        data += buffer[:count]
    return bytes(data)


class TestManifests:
    def test_manifest_is_read_by_tag_and_by_digest(self, registry, repository):
        digest = registry.add_image("library/app", "1")
        by_tag, raw = repository.get_manifest("1")
        by_digest, same = repository.get_manifest(Digest(digest))
        assert by_tag == by_digest
        assert by_tag.digest.text == digest
        assert by_tag.size == len(raw)
        assert raw == same == registry.repositories["library/app"].manifests[digest][1]

    def test_missing_manifest_is_not_found(self, registry, repository):
        with pytest.raises(NotFoundError):
            repository.get_manifest("1")
        assert repository.head_manifest("1") is None

    def test_wrong_digest_header_is_refused_by_tag(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", digest_header="sha256:" + 64 * "0")
        with pytest.raises(DigestMismatchError):
            repository.get_manifest("1")

    def test_wrong_bytes_are_refused_by_tag(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", wrong_bytes=True)
        with pytest.raises(DigestMismatchError):
            repository.get_manifest("1")

    def test_invalid_digest_header_is_ignored(self, registry, repository):
        digest = registry.add_image("library/app", "1")
        registry.fail("GET", digest_header="md5:../../x")
        assert repository.get_manifest("1")[0].digest.text == digest

    def test_endless_manifest_is_refused(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", endless=True)
        with pytest.raises(LimitError):
            repository.get_manifest("1")

    def test_truncated_manifest_is_a_temporary_error(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", cut_after=10, times=None)
        with pytest.raises(RegistryError) as caught:
            repository.get_manifest("1")
        assert caught.value.temporary

    @pytest.mark.parametrize("declared", ["application/json", "text/plain; charset=utf-8", ""])
    def test_media_type_in_body_replaces_general_content_type(self, registry, repository, declared):
        registry.add_image("library/app", "1")
        registry.fail("GET", content_type=declared)
        assert repository.get_manifest("1")[0].media_type == media_types.OCI_MANIFEST

    def test_contradicting_content_type_is_returned(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", content_type=media_types.OCI_INDEX)
        assert repository.get_manifest("1")[0].media_type == media_types.OCI_INDEX

    def test_head_returns_descriptor(self, registry, repository):
        digest = registry.add_image("library/app", "1")
        found = repository.head_manifest("1")
        assert found is not None
        assert (found.digest.text, found.media_type) == (digest, media_types.OCI_MANIFEST)
        assert registry.count("GET") == 0

    @pytest.mark.parametrize("fault", [{"status": 405}, {"digest_header": "?"}])
    def test_incomplete_head_falls_back_to_get(self, registry, repository, fault):
        digest = registry.add_image("library/app", "1")
        registry.fail("HEAD", **fault)
        assert repository.head_manifest("1").digest.text == digest

    def test_manifest_is_put_and_deleted(self, registry, repository):
        raw = b'{"schemaVersion":2}'
        repository.put_manifest("1", media_types.OCI_MANIFEST, raw)
        stored = registry.repositories["library/app"]
        assert stored.manifests[stored.tags["1"]] == (media_types.OCI_MANIFEST, raw)
        repository.delete_manifest(Digest.of(raw))
        assert stored.manifests == stored.tags == {}
        with pytest.raises(NotFoundError):
            repository.delete_manifest(Digest.of(raw))

    def test_other_stored_digest_is_refused(self, registry, repository):
        registry.fail("PUT", digest_header="sha256:" + 64 * "0")
        with pytest.raises(MisreportedDigestError):
            repository.put_manifest("1", media_types.OCI_MANIFEST, b"{}")

    def test_sha512_manifest_is_supported(self, registry, repository):
        digest = Digest.of(b"{}", "sha512")
        repository.put_manifest(digest, media_types.OCI_MANIFEST, b"{}")
        assert registry.find_requests("PUT")[0].path.endswith(f"/manifests/{digest}")

    def test_immutable_tag_is_a_conflict(self, registry, repository):
        registry.immutable_tags = True
        repository.put_manifest("1", media_types.OCI_MANIFEST, b"{}")
        repository.put_manifest("1", media_types.OCI_MANIFEST, b"{}")
        with pytest.raises(ConflictError):
            repository.put_manifest("1", media_types.OCI_MANIFEST, b"{ }")

    @pytest.mark.parametrize(
        ("status", "code", "message"),
        [
            (400, "TAG_INVALID", "The image tag '1' already exists and cannot be overwritten"),
            (409, "CONFLICT", "no"),
            (403, "DENIED", "tag is immutable"),
            (400, "TAG_IMMUTABLE", ""),
        ],
    )
    def test_immutable_tag_is_recognized_by_error_text(
        self, registry, repository, status, code, message
    ):
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        registry.fail("PUT", status=status, body=body)
        with pytest.raises(ConflictError):
            repository.put_manifest("1", media_types.OCI_MANIFEST, b"{}")

    def test_unsupported_deletion_is_reported(self, registry, repository):
        registry.fail("DELETE", status=405)
        with pytest.raises(UnsupportedError) as raised:
            repository.delete_manifest(Digest.of(b"{}"))
        assert raised.value.hint is not None

    @pytest.mark.parametrize("tag", ["", "../x", "a/b", "1?x", "é", "a" * 129])
    def test_invalid_tag_is_refused_before_the_request(self, registry, repository, tag):
        with pytest.raises(InvalidReferenceError):
            repository.get_manifest(tag)
        assert registry.requests == []

    @pytest.mark.parametrize("path", ["", "../x", "A", "a//b", "a?b", "a b"])
    def test_invalid_repository_is_refused_before_the_request(self, session, path):
        with pytest.raises(InvalidReferenceError):
            Repository(session, path)


class TestBlobs:
    @pytest.mark.parametrize("offset", [0, 1, 100_000, len(BLOB) - 1, len(BLOB)])
    @pytest.mark.parametrize("ranges", [True, False])
    def test_blob_is_read_from_offset(self, registry, repository, offset, ranges):
        registry.ranges = ranges
        digest = Digest(registry.add_blob("library/app", BLOB))
        with repository.open_blob(digest, len(BLOB), offset) as stream:
            assert read(stream) == BLOB[offset:]

    def test_blob_is_read_in_small_reads(self, registry, repository):
        digest = Digest(registry.add_blob("library/app", b"abc"))
        with repository.open_blob(digest, 3) as stream:
            assert [stream.read(2), stream.read(2), stream.read(2)] == [b"ab", b"c", b""]

    def test_blob_is_read_at_once(self, registry, repository):
        digest = Digest(registry.add_blob("library/app", BLOB))
        with repository.open_blob(digest, len(BLOB)) as stream:
            assert stream.read(1) + stream.read() == BLOB
        registry.fail("GET", endless=True)
        with repository.open_blob(digest, len(BLOB)) as stream, pytest.raises(LimitError):
            stream.read()

    @pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 6-9/10", "nonsense", ""])
    def test_wrong_range_is_refused(self, registry, repository, content_range):
        digest = Digest(registry.add_blob("library/app", b"0123456789"))
        registry.fail("GET", status=206, headers={"Content-Range": content_range}, body=b"56789")
        with (
            pytest.raises(RegistryError) as raised,
            repository.open_blob(digest, 10, 5),
        ):
            pass
        assert not raised.value.temporary

    def test_bytes_before_an_interruption_are_returned(self, registry, repository):
        digest = Digest(registry.add_blob("library/app", BLOB))
        registry.fail("GET", cut_after=150_001)
        with repository.open_blob(digest, len(BLOB)) as stream:
            buffer = memoryview(bytearray(1024 * 1024))
            assert stream.readinto(buffer) == 150_001
            with pytest.raises(RegistryError) as caught:
                stream.readinto(buffer)
        assert caught.value.temporary
        assert caught.value.message.endswith(": the connection was closed")
        assert buffer[:150_001] == BLOB[:150_001]

    def test_truncated_body_is_a_temporary_error(self, registry, repository):
        """Missing bytes are detected by the expected size."""
        digest = Digest(registry.add_blob("library/app", BLOB))
        registry.fail("GET", short_body=1000)
        with repository.open_blob(digest, len(BLOB)) as stream:
            assert read(stream) == BLOB[:1000]

    def test_blob_shorter_than_offset_is_refused(self, registry, repository):
        registry.ranges = False
        digest = Digest(registry.add_blob("library/app", BLOB))
        registry.fail("GET", short_body=10)
        with pytest.raises(SizeMismatchError), repository.open_blob(digest, len(BLOB), 1000):
            pass

    def test_endless_body_is_not_drained(self, registry, repository):
        digest = Digest(registry.add_blob("library/app", BLOB))
        registry.fail("GET", endless=True)
        with repository.open_blob(digest, len(BLOB)) as stream:
            assert stream.readinto(memoryview(bytearray(100))) == 100
        assert repository.has_blob(digest)

    def test_missing_blob_is_not_found(self, registry, repository):
        digest = Digest.of(b"absent")
        assert not repository.has_blob(digest)
        with pytest.raises(NotFoundError), repository.open_blob(digest, 6):
            pass

    def test_web_page_is_not_a_blob(self, registry, repository):
        registry.fail("GET", html=True)
        with (
            pytest.raises(RegistryError) as raised,
            repository.open_blob(Digest.of(b"x"), 1),
        ):
            pass
        assert raised.value.status == 200

    def test_connection_is_reused(self, registry, repository):
        """A new connection would have another client port."""
        digest = Digest(registry.add_blob("library/app", BLOB))
        for _ in range(3):
            with repository.open_blob(digest, len(BLOB)) as stream:
                read(stream)
            repository.has_blob(digest)
        assert len(repository.session._client._own._sockets) == 1


class TestLists:
    def test_tags_of_all_pages_are_listed(self, registry, repository):
        registry.page_size = 3
        for number in range(8):
            registry.add_image("library/app", f"v{number}")
        assert repository.list_tags() == [f"v{number}" for number in range(8)]
        assert registry.count("GET", "tags/list") == 3

    def test_missing_list_of_tags_is_empty(self, registry, repository):
        """docker-registry returns null after the last tag was deleted."""
        registry.fail("GET", status=200, body=b'{"name":"library/app","tags":null}')
        assert repository.list_tags() == []

    def test_missing_repository_is_not_found(self, registry, repository):
        with pytest.raises(NotFoundError):
            repository.list_tags()

    @pytest.mark.parametrize(
        "link",
        [
            '<http://other.example/v2/library/app/tags/list?last=1>; rel="next"',
            '<http://other.example:5000/v2/library/app/tags/list?last=1>; rel="next"',
            '</v2/library/app/tags/list?last=1>; rel="next"',
            '<list?last=1>; rel="next"',
            '/v2/library/app/tags/list?last=1; rel="next"',
            '</v2/first>; rel="first", </v2/library/app/tags/list?last=1>; title="x"; rel="next"',
        ],
    )
    def test_next_page_is_requested_from_the_registry_itself(self, registry, repository, link):
        """Registries behind proxies return links with their internal name."""
        registry.add_image("library/app", "0")
        registry.add_image("library/app", "2")
        registry.fail("GET", status=200, body=b'{"tags":["1"]}', headers={"Link": link}, times=1)
        assert repository.list_tags() == ["1", "2"]
        assert registry.requests[-1].path.endswith("/v2/library/app/tags/list")

    @pytest.mark.parametrize("link", ["", '<>; rel="next"'])
    def test_empty_link_ends_the_list(self, registry, repository, link):
        registry.fail("GET", status=200, body=b'{"tags":["1"]}', headers={"Link": link}, times=1)
        assert repository.list_tags() == ["1"]

    @pytest.mark.parametrize(
        "link",
        ["</v2/library/app/tags/list?n=1000>; rel=next", '<http://user:pw@127.0.0.1/>; rel="next"'],
    )
    def test_repeated_or_unusable_next_page_is_refused(self, registry, repository, link):
        registry.fail("GET", status=200, body=b'{"tags":["1"]}', headers={"Link": link}, times=3)
        with pytest.raises(RegistryError):
            repository.list_tags()

    def test_refused_page_size_is_omitted(self, registry, repository):
        registry.add_image("library/app", "1")
        registry.fail("GET", "n=1000", status=400, times=1)
        assert repository.list_tags() == ["1"]

    @pytest.mark.parametrize(
        "body", [b'{"tags":[1,"2",null]}', b'{"tags":["%s","2"]}' % (b"x" * 300)]
    )
    def test_invalid_entry_is_omitted_with_a_warning(self, registry, connect, body):
        events = []
        repository = Repository(connect(registry, emit=events.append), "library/app")
        registry.fail("GET", status=200, body=body)
        assert repository.list_tags() == ["2"]
        assert [type(event) for event in events] == [WarningIssued]

    @pytest.mark.parametrize("link", ["<" * 60_000, "<>;" * 20_000, "<>" * 30_000])
    def test_hostile_link_header_is_matched_in_linear_time(self, registry, repository, link):
        """Matching a header cannot be cancelled, so it has to be fast."""
        registry.add_image("library/app", "1")
        registry.fail("GET", status=200, body=b'{"tags":["1"]}', headers={"Link": link})
        begun = time.monotonic()
        assert repository.list_tags() == ["1"]
        assert time.monotonic() - begun < 1

    def test_endless_pages_are_refused(self, registry, repository, monkeypatch):
        monkeypatch.setattr(pagination, "MAX_PAGES", 3)
        registry.page_size = 1
        for number in range(5):
            registry.add_image("library/app", f"v{number}")
        with pytest.raises(LimitError):
            repository.list_tags()

    def test_large_pages_are_refused(self, registry, repository, monkeypatch):
        """Invalid names are left out, so only the size of the pages limits them."""
        monkeypatch.setattr(pagination, "MAX_TOTAL", 1000)
        for number in range(5):
            link = f'</v2/library/app/tags/list?last={number}>; rel="next"'
            body = b'{"tags":["%s"]}' % (b"x" * 400)
            registry.fail("GET", status=200, body=body, headers={"Link": link}, times=1)
        with pytest.raises(LimitError):
            repository.list_tags()
        assert registry.count("GET", "tags/list") == 3

    def test_endless_entries_are_refused(self, registry, repository, monkeypatch):
        monkeypatch.setattr(pagination, "MAX_ENTRIES", 3)
        for number in range(5):
            registry.add_image("library/app", f"v{number}")
        with pytest.raises(LimitError):
            repository.list_tags()

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"[]", b'{"tags":7}'),
        ],
        ids=["empty", "array", "number"],
    )
    def test_invalid_list_is_refused(self, registry, repository, body):
        registry.fail("GET", status=200, body=body)
        with pytest.raises((RegistryError, MalformedError)):
            repository.list_tags()


class TestReferrers:
    def add(self, registry, count=3) -> Digest:
        subject = registry.add_image("library/app", "1")
        for number in range(count):
            registry.add_image(
                "library/app",
                None,
                [b"signature %d" % number],
                artifactType="application/x.signature",
                subject={"mediaType": media_types.OCI_MANIFEST, "digest": subject, "size": 1},
                annotations={"number": str(number)},
            )
        return Digest(subject)

    def test_referrers_of_all_pages_are_listed(self, registry, repository):
        registry.page_size = 2
        found = repository.list_referrers(self.add(registry))
        assert len({item.digest for item in found}) == 3
        assert {item.artifact_type for item in found} == {"application/x.signature"}
        assert repository.has_referrers_api

    def test_annotations_of_referrers_are_not_kept(self, registry, repository):
        """A registry could list referrers with millions of them."""
        found = repository.list_referrers(self.add(registry))
        assert [dict(item.annotations) for item in found] == [{}, {}, {}]

    def test_subject_without_referrers_has_empty_list(self, registry, repository):
        assert repository.list_referrers(self.add(registry, 0)) == []

    @pytest.mark.parametrize(
        "fault", [{"status": 404}, {"status": 405}, {"html": True, "status": 400}]
    )
    def test_referrers_are_listed_by_fallback_tag(self, registry, repository, fault):
        subject = self.add(registry, 0)
        entry = {"mediaType": media_types.OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1}
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry]}
        registry.add_manifest(
            "library/app",
            to_fallback_tag(subject),
            json.dumps(index).encode(),
            media_types.OCI_INDEX,
        )
        registry.fail("GET", "/referrers/", **fault)
        for _ in range(2):
            assert [item.digest for item in repository.list_referrers(subject)] == [Digest.of(b"x")]
        assert not repository.has_referrers_api
        assert registry.count("GET", "/referrers/") == 1

    def test_missing_fallback_tag_lists_nothing(self, registry, repository):
        registry.referrers = False
        assert repository.list_referrers(self.add(registry, 0)) == []

    def test_fallback_tag_of_image_lists_nothing(self, registry, repository):
        registry.referrers = False
        subject = self.add(registry, 0)
        registry.add_image("library/app", to_fallback_tag(subject))
        assert repository.list_referrers(subject) == []

    def test_fallback_tag_of_long_digest_is_valid(self):
        assert len(to_fallback_tag(Digest.of(b"", "sha512"))) == len("sha512-") + 64

    def test_too_many_referrers_are_refused(self, registry, repository, monkeypatch):
        monkeypatch.setattr(repository_module, "MAX_REFERRERS", 2)
        with pytest.raises(LimitError):
            repository.list_referrers(self.add(registry))


def test_server_error_does_not_count_as_absence(connect):
    with FakeRegistry() as registry:
        repository = Repository(connect(registry, ANONYMOUS), "library/app")
        registry.fail("HEAD", status=503, times=None)
        with pytest.raises(RegistryError):
            repository.has_blob(Digest.of(b"x"))
        with pytest.raises(RegistryError):
            repository.head_manifest("1")
