"""Responses with Content-Encoding: gzip, although no request asks for it."""

from __future__ import annotations

import gzip
import http.client
from io import BytesIO

import pytest
from hypothesis import given, strategies as st

from bundler.config.registry_access import Credentials
from bundler.errors import LimitError, RegistryError
from bundler.oci.digest import Digest
from bundler.registry.exchange.content_encoding import GzipDecoder
from bundler.registry.repository import Repository
from tests.fakes.registry import FakeRegistry

BLOB = bytes(range(256)) * 3000


def decode(body: bytes, size: int = 1000) -> bytes:
    stream = BytesIO(body)
    decoder = GzipDecoder(stream.readinto, "test")
    content, buffer = b"", memoryview(bytearray(size))
    while count := decoder.readinto(buffer):
        content += buffer[:count]
    return content


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 5000))
def test_members_are_decoded(parts, size):
    body = b"".join(map(gzip.compress, parts))
    assert decode(body, size) == b"".join(parts)
    assert decode(body + bytes(7), size) == b"".join(parts)


def test_truncated_body_is_detected():
    with pytest.raises(http.client.IncompleteRead):
        decode(gzip.compress(BLOB)[:-1])


def test_other_format_is_refused():
    with pytest.raises(RegistryError):
        decode(BLOB)


def test_endless_body_without_content_is_refused():
    empty = gzip.compress(b"") * 1000

    def receive(buffer):
        buffer[: len(empty)] = empty
        return len(empty)

    with pytest.raises(LimitError):
        GzipDecoder(receive, "test").readinto(memoryview(bytearray(10)))


def test_documents_and_tokens_are_decoded(connect):
    with FakeRegistry(auth="bearer") as registry:
        digest = registry.add_image("a/b", "1")
        registry.fail("GET", gzip=True, times=None)
        repository = Repository(connect(registry, Credentials("user", "password")), "a/b")
        descriptor, raw = repository.get_manifest("1")
        assert (descriptor.digest.text, descriptor.size) == (digest, len(raw))
        assert repository.head_manifest("1") == descriptor
        assert repository.list_tags() == ["1"]


def test_reason_of_a_refusal_is_decoded(registry, repository):
    registry.add_image("library/app", "1")
    registry.fail("GET", "/manifests/", status=403, gzip=True)
    with pytest.raises(RegistryError, match="scripted fault"):
        repository.get_manifest("1")


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("ranges", [True, False])
def test_blob_is_decoded(registry, repository, offset, ranges):
    """A range is a part of the compressed body, so the blob is requested from its start."""
    registry.ranges = ranges
    digest = Digest(registry.add_blob("library/app", BLOB))
    registry.fail("GET", "/blobs/", gzip=True, times=None)
    with repository.open_blob(digest, len(BLOB), offset) as stream:
        assert b"".join(iter(lambda: stream.read(1 << 20), b"")) == BLOB[offset:]


@pytest.mark.parametrize("offset", [0, 10])
def test_layer_with_the_encoding_of_its_own_compression_is_not_decoded(
    registry, repository, offset
):
    layer = gzip.compress(BLOB)
    digest = Digest(registry.add_blob("library/app", layer))
    registry.fail("GET", "/blobs/", content_encoding="gzip", times=None)
    with repository.open_blob(digest, len(layer), offset) as stream:
        assert b"".join(iter(lambda: stream.read(1 << 20), b"")) == layer[offset:]


def test_expanding_document_is_refused(registry, repository):
    registry.add_image("library/app", "1")
    body = bytes(50 * 1024 * 1024)
    registry.fail("GET", "/manifests/", status=200, body=body, gzip=True)
    with pytest.raises(LimitError):
        repository.get_manifest("1")
