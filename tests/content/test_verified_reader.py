"""The verified reader fails instead of ending if content does not match its descriptor."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given, strategies as st

from bundler.content.streams import VerifiedReader
from bundler.errors import (
    BundlerError,
    CancelledError,
    DigestMismatchError,
    IntegrityError,
    LimitError,
    RegistryError,
    SizeMismatchError,
)
from bundler.oci.digest import Digest
from tests.strategies import Chunked, chunk_sizes

DATA = b"some bytes of a blob"
SIZE = len(DATA)
ALGORITHMS = st.sampled_from(["sha256", "sha512"])


def reader(data=DATA, *, digest=DATA, size=SIZE, sizes=(), **more):
    """Return a reader of ``data`` that expects ``digest``; the source yields ``sizes``."""
    promised = None if digest is None else Digest.of(digest)
    return VerifiedReader(Chunked(data, sizes), "the blob", digest=promised, size=size, **more)


def drain(stream, sizes=()):
    """Return the bytes read before the stream ended or failed, and the error."""
    written = bytearray()
    requested = iter(sizes)
    try:
        while True:
            buffer = memoryview(bytearray(next(requested, 7)))
            count = stream.readinto(buffer)
            if not count:
                return bytes(written), None
            written += buffer[:count]
    except BundlerError as error:
        return bytes(written), error


@given(st.binary(max_size=200), chunk_sizes, chunk_sizes, ALGORITHMS, st.booleans())
def test_correct_bytes_are_returned_for_any_chunk_size(
    data, given_sizes, wanted_sizes, algorithm, sized
):
    digest = Digest.of(data, algorithm)
    size = len(data) if sized else None
    stream = VerifiedReader(Chunked(data, given_sizes), "it", digest=digest, size=size)
    assert drain(stream, wanted_sizes) == (data, None)
    assert (stream.descriptor().digest, stream.descriptor().size) == (digest, len(data))
    assert stream.read() == b""


@given(st.binary(min_size=1, max_size=200), st.data(), chunk_sizes, chunk_sizes)
def test_wrong_digest_is_detected_before_last_bytes_are_returned(data, draw, given, requested):
    position = draw.draw(st.integers(0, len(data) - 1))
    wrong = bytearray(data)
    wrong[position] ^= 1 << draw.draw(st.integers(0, 7))
    written, error = drain(
        reader(bytes(wrong), digest=data, size=len(data), sizes=given), requested
    )
    assert isinstance(error, DigestMismatchError)
    assert error.expected == Digest.of(data).text
    assert len(written) < len(data)


@given(st.binary(min_size=1, max_size=100), st.integers(1, 100), chunk_sizes, chunk_sizes)
def test_stream_of_wrong_length_is_refused(data, other, given_sizes, requested):
    longer = reader(data + b"x" * other, digest=data, size=len(data), sizes=given_sizes)
    written, error = drain(longer, requested)
    assert isinstance(error, SizeMismatchError)
    assert len(written) < len(data)
    shorter = reader(data[:-other], digest=data, size=len(data), sizes=given_sizes)
    assert isinstance(drain(shorter, requested)[1], SizeMismatchError)


def test_wrong_digest_without_size_raises_at_the_end():
    written, error = drain(reader(DATA, digest=b"other", size=None))
    assert isinstance(error, DigestMismatchError)
    assert written == DATA


@pytest.mark.parametrize("size", [0, None])
def test_empty_blob_is_verified(size):
    assert reader(b"", digest=b"", size=size).read() == b""
    with pytest.raises(DigestMismatchError):
        reader(b"", digest=b"x", size=size).read()


def test_content_of_empty_blob_is_refused():
    with pytest.raises(SizeMismatchError):
        reader(b"x", digest=b"", size=0).read()


@pytest.mark.parametrize("size", [len(DATA), None])
def test_empty_read_has_no_effect(size):
    stream = reader(size=size)
    assert stream.read(0) == b""
    assert stream.read(4) == DATA[:4]
    assert stream.readinto(memoryview(b"")) == 0
    assert stream.read() == DATA[4:]
    assert stream.descriptor().size == len(DATA)


@pytest.mark.parametrize(
    ("data", "digest"), [(DATA + b"x", DATA), (DATA[:-1], DATA), (DATA[:-1] + b"!", DATA)]
)
def test_failed_stream_does_not_end_normally(data, digest):
    """A caller that ignores the error and continues to read does not get a regular end."""
    stream = reader(data, digest=digest)
    with pytest.raises(IntegrityError):
        stream.read()
    for _ in range(3):
        with pytest.raises((IntegrityError, RuntimeError)):
            stream.read()
    with pytest.raises(RuntimeError):
        stream.descriptor()


def test_observer_error_at_the_last_chunk_does_not_end_the_stream():
    def stop(_):
        raise CancelledError

    stream = reader(observe=stop)
    with pytest.raises(CancelledError):
        stream.read()
    with pytest.raises(RuntimeError):
        stream.read()
    with pytest.raises(RuntimeError):
        stream.descriptor()


def test_error_of_source_is_raised():
    class Broken(io.BytesIO):
        def readinto(self, _):
            raise RegistryError("cut")

    with pytest.raises(RegistryError):
        VerifiedReader(Broken(), "it", digest=None, size=5).read()


def test_source_is_read_at_most_one_byte_past_the_size():
    source = io.BytesIO(DATA + b"x" * 1_000_000)
    with pytest.raises(SizeMismatchError, match="expected 20 bytes, got more"):
        VerifiedReader(source, "it", digest=Digest.of(DATA), size=len(DATA)).read()
    assert source.tell() == len(DATA) + 1


def test_limit_applies_if_size_is_unknown():
    assert reader(digest=None, size=None, limit=len(DATA)).read() == DATA
    with pytest.raises(LimitError):
        reader(digest=None, size=None, limit=len(DATA) - 1).read()


@given(st.binary(max_size=100), st.data(), chunk_sizes)
def test_skipped_bytes_are_hashed_too(data, draw, sizes):
    count = draw.draw(st.integers(0, len(data)))
    stream = reader(data, digest=data, size=len(data), sizes=sizes)
    stream.skip(count)
    assert stream.position == count
    assert stream.read() == data[count:]


def test_skip_past_the_end_is_refused():
    with pytest.raises(SizeMismatchError):
        reader().skip(len(DATA) + 1)
    with pytest.raises(DigestMismatchError):
        reader(DATA[:-1] + b"!").skip(len(DATA))


def test_observers_receive_every_byte_once():
    heard = []
    stream = reader(sizes=[3, 1, 5], observe=heard.append)
    stream.skip(2)
    stream.read()
    assert sum(heard) == len(DATA)


def test_digest_is_computed_if_none_is_expected():
    stream = reader(digest=None, size=None, media_type="text/plain")
    with pytest.raises(RuntimeError):
        stream.descriptor()
    stream.read()
    assert stream.descriptor().digest == Digest.of(DATA)
    assert stream.descriptor().media_type == "text/plain"


def test_size_mismatch_message_states_expected_and_actual_size():
    with pytest.raises(DigestMismatchError) as caught:
        reader(digest=b"other").read()
    assert caught.value.message == (
        f"the blob: digest mismatch (expected {Digest.of(b'other')}, got {Digest.of(DATA)})"
    )


def test_buffer_of_large_read_has_size_of_content():
    stream = reader()
    tracemalloc.start()
    try:
        assert stream.read(1 << 26) == DATA
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert stream.read(1 << 26) == b""


def test_read_of_empty_content_verifies_its_digest():
    assert reader(b"", digest=b"", size=0).read(1 << 26) == b""
    with pytest.raises(DigestMismatchError):
        reader(b"", digest=b"x", size=0).read(1 << 26)
