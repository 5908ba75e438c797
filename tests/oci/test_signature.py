"""Stored signatures: the formats of other programs, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci import signature
from bundler.oci.signature import SigstoreSignature, SimpleSignature

OPENPGP = b"\x90\x0d\x03\x00message"
STORED = (
    b"\0sigstore-json\n"
    b'{"mimeType":"application/vnd.dev.cosign.simplesigning.v1+json","payload":"e30=",'
    b'"annotations":{"a":"\\u003cb\\u003e","dev.cosignproject.cosign/signature":"AAAA"}}'
)
SIGSTORE = SigstoreSignature(
    signature.SIGSTORE_PAYLOAD, b"{}", {signature.SIGNATURE_ANNOTATION: "AAAA", "a": "<b>"}
)


def store(content: bytes) -> bytes:
    return b"\0sigstore-json\n" + content


def test_openpgp_message_is_stored_unchanged():
    assert signature.parse(OPENPGP) == SimpleSignature(OPENPGP)
    assert SimpleSignature(OPENPGP).to_bytes() == OPENPGP


def test_openpgp_message_with_format_name_is_accepted():
    assert signature.parse(b"\0simple-signing\n" + OPENPGP) == SimpleSignature(OPENPGP)


def test_sigstore_signature_is_stored_as_by_skopeo():
    assert SIGSTORE.to_bytes() == STORED
    assert signature.parse(STORED) == SIGSTORE


@given(st.text(), st.binary(), st.dictionaries(st.text(), st.text()))
def test_sigstore_signature_round_trips(media_type, payload, annotations):
    item = SigstoreSignature(media_type, payload, annotations)
    assert signature.parse(item.to_bytes()) == item


@given(st.binary(max_size=100))
def test_any_bytes_are_parsed_or_refused(raw):
    try:
        item = signature.parse(raw)
    except BundlerError:
        return
    assert signature.parse(item.to_bytes()) == item or isinstance(item, SimpleSignature)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"-----BEGIN PGP SIGNED MESSAGE-----",
        b"\0",
        b"\0sigstore-json",
        b"\0sigstore-json " + b"x" * 100 + b"\n{}",
        b"\0other\n{}",
        b"\0Sigstore-json\n{}",
        b"\0\xff\n{}",
    ],
)
def test_unknown_format_is_refused(raw):
    with pytest.raises(MalformedError):
        signature.parse(raw)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{} {}",
        b'{"payload":"e30"}',
        b'{"payload":"e3 0="}',
        b'{"payload":{}}',
        b'{"mimeType":1}',
        b'{"annotations":[]}',
        b'{"annotations":{"a":1}}',
        b'{"payload":"e30=","payload":"e30="}',
        b'{"payload":"e30=","Payload":"AAAA"}',
    ],
)
def test_malformed_sigstore_signature_is_refused(content):
    with pytest.raises(MalformedError):
        signature.parse(store(content))


def test_size_is_limited():
    with pytest.raises(LimitError, match="expected at most"):
        signature.parse(OPENPGP + bytes(signature.MAX_SIGNATURE))


def test_depth_is_limited():
    with pytest.raises(LimitError):
        signature.parse(store(b'{"x":' + b"[" * 100 + b"]" * 100 + b"}"))
