"""Simple signatures: the payload is read strictly, and belongs to one manifest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from bundler import __version__
from bundler.cancel import Cancellation
from bundler.errors import InvalidSignatureError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.openpgp.gpg import open_temporary_keyring
from bundler.trust.openpgp.sign import GpgSigner
from bundler.trust.simple_signing import simple_signing
from bundler.trust.simple_signing.simple_signing import SimplePayload, SimpleSigner, parse_payload

MANIFEST = b'{"schemaVersion":2}'
DIGEST = Digest.of(MANIFEST)
CRITICAL = {
    "identity": {"docker-reference": "example.com/app:1"},
    "image": {"docker-manifest-digest": DIGEST.text},
    "type": "atomic container signature",
}
DESCRIPTOR = Descriptor("application/vnd.oci.image.manifest.v1+json", DIGEST, len(MANIFEST))


def payload(optional="{}", **critical):
    return (
        json.dumps({"critical": CRITICAL | critical, "optional": None})
        .replace('"optional": null', f'"optional": {optional}')
        .encode()
    )


def test_payload_is_written_as_by_containers_image():
    created = SimplePayload.create("example.com/app:1", DIGEST, datetime.fromtimestamp(7, UTC))
    assert created.to_bytes() == (
        b'{"critical":{"identity":{"docker-reference":"example.com/app:1"},'
        b'"image":{"docker-manifest-digest":"%b"},"type":"atomic container signature"},'
        b'"optional":{"creator":"airbundle %b","timestamp":7}}'
    ) % (DIGEST.text.encode(), __version__.encode())
    assert parse_payload(created.to_bytes()) == created


def test_optional_members_may_be_absent_or_unknown():
    assert parse_payload(payload()) == SimplePayload("example.com/app:1", DIGEST)
    found = parse_payload(payload('{"creator":"x","timestamp":1.5e3,"other":[{}]}'))
    assert (found.creator, found.timestamp) == ("x", 1500)


@given(st.text(min_size=1), st.integers(-(2**40), 2**40), st.text(min_size=1))
def test_payload_round_trips(reference, timestamp, creator):
    created = SimplePayload(reference, DIGEST, creator, timestamp)
    assert parse_payload(created.to_bytes()) == created


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"This is not JSON",
        payload() + b"{}",
        payload("null"),
        payload("[]"),
        payload('{"creator":1}'),
        payload('{"timestamp":"1"}'),
        payload('{"timestamp":1.5}'),
        payload('{"timestamp":true}'),
        payload('{"creator":"a","creator":"a"}'),
        payload(type="cosign container image signature"),
        payload(type=None),
        payload(image={}),
        payload(image={"docker-manifest-digest": "sha256:x"}),
        payload(image={"docker-manifest-digest": None}),
        payload(image={"docker-manifest-digest": DIGEST.text, "more": 1}),
        payload(identity={"docker-reference": ""}),
        payload(identity={"docker-reference": ["x"]}),
        payload(identity={"Docker-Reference": "example.com/app:1"}),
        payload(more=1),
        payload().replace(b'"critical"', b'"Critical"'),
        payload().replace(b'{"critical"', b'{"more":1,"critical"'),
        payload().replace(b'"type"', b'"type":"atomic container signature","type"'),
    ],
)  # fmt: skip
def test_deviating_payload_is_refused(raw):
    with pytest.raises(InvalidSignatureError):
        parse_payload(raw)


@pytest.fixture(scope="module")
def key(gnupg):
    return gnupg.generate("Signer <signer@example.com>")


@pytest.fixture
def signer(gnupg, key):
    return SimpleSigner(GpgSigner(key, gnupg.environment, Cancellation()).sign)


@pytest.fixture
def keyring(gnupg, key):
    with open_temporary_keyring([gnupg.export(key)], Cancellation()) as opened:
        yield opened


def test_signed_manifest_verifies(signer, keyring, key):
    (message,) = signer.sign("example.com/app:1", DESCRIPTOR, MANIFEST)
    found = simple_signing.verify_signature(message, keyring, MANIFEST, keyring.fingerprints)
    assert (found[0].reference, found[0].digest, found[1]) == ("example.com/app:1", DIGEST, key)


def test_signature_of_another_manifest_is_refused(signer, keyring):
    (message,) = signer.sign("example.com/app:1", DESCRIPTOR, MANIFEST)
    with pytest.raises(InvalidSignatureError, match="another digest"):
        simple_signing.verify_signature(message, keyring, b"{}", keyring.fingerprints)


def test_signature_by_a_key_that_is_not_accepted_is_refused(signer, keyring):
    (message,) = signer.sign("example.com/app:1", DESCRIPTOR, MANIFEST)
    for fingerprints in ([], ["0" * 40]):
        with pytest.raises(InvalidSignatureError, match="not accepted"):
            simple_signing.verify_signature(message, keyring, MANIFEST, fingerprints)


def test_signed_garbage_is_refused(gnupg, key, keyring):
    message = gnupg.sign(b"This is not JSON", key)
    with pytest.raises(InvalidSignatureError):
        simple_signing.verify_signature(message, keyring, MANIFEST, keyring.fingerprints)
