"""Timestamps of Notation signatures, made by openssl as a timestamp authority."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest

from bundler.errors import InvalidSignatureError
from bundler.trust.notation.timestamps import verify_timestamp
from tests.fakes import notation as fake
from tests.fakes.notation import COSE, DAY, JWS, NOW, ROOT, TARGET, Signature

AUTHORITY = fake.create_timestamp_authority()
TSA_ROOT = AUTHORITY.chain[-1]
STORES = {"ca:corp": [ROOT.certificate], "tsa:time": [TSA_ROOT]}
SIGNER = fake.create_signer(root=ROOT, end=NOW + 3600 * DAY)
LATER = NOW + 3601 * DAY

both = pytest.mark.parametrize("form", [JWS, COSE], ids=["jws", "cose"])


def timestamped(form, **options):
    """Return an envelope with a timestamp of the present."""
    signature = Signature(options.pop("signer", SIGNER), TARGET)
    fixed = signature.to_envelope(form)
    token = fake.create_timestamp(AUTHORITY, signature.primitive(fixed), **options)
    return fake.attach_timestamp(fixed, token)


@both
def test_timestamp_proves_that_the_certificate_was_valid(verify, form):
    raw = timestamped(form)
    for use in ("always", "afterCertExpiry"):
        verify(raw, form, stores=STORES, verifyTimestamp=use)
        verify(raw, form, stores=STORES, verifyTimestamp=use, moment=LATER)


@both
def test_timestamp_is_required_if_a_store_for_it_is_trusted(refuse, verify, form):
    raw = Signature(SIGNER, TARGET).to_envelope(form)
    assert refuse(raw, form, stores=STORES) == "timestamp"
    verify(raw, form, stores=STORES, verifyTimestamp="afterCertExpiry")
    options = {"stores": STORES, "verifyTimestamp": "afterCertExpiry", "moment": LATER}
    assert refuse(raw, form, **options) == "timestamp"


@both
def test_timestamp_does_not_count_without_a_trusted_authority(refuse, form):
    raw = timestamped(form)
    assert refuse(raw, form, moment=LATER) == "certificate"
    other = fake.create_timestamp_authority().chain[-1]
    assert refuse(raw, form, stores=STORES | {"tsa:time": [other]}) == "timestamp"


@both
def test_timestamp_after_the_certificate_expired_is_refused(refuse, form):
    signer = fake.create_signer(root=ROOT, end=datetime.now(UTC) - timedelta(hours=1))
    assert refuse(timestamped(form, signer=signer), form, stores=STORES) == "certificate"


def test_timestamp_needs_the_optional_library(refuse, verify, monkeypatch):
    raw = timestamped(JWS)
    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    assert refuse(raw, stores=STORES) == "unsupported"
    verify(raw, stores=STORES, verifyTimestamp="afterCertExpiry")


def test_authority_may_be_below_an_intermediate_one():
    """Other roots of the same name do not prevent that the right one is found."""
    root = fake.create_root("timestamps")
    middle = fake.issue(fake.subject("middle"), root, authority=True)
    token = fake.create_timestamp(fake.create_timestamp_authority(root=middle), b"x")
    verify_timestamp(token, b"x", [TSA_ROOT, root.certificate])
    for roots in ([], [TSA_ROOT], [middle.certificate]):
        with pytest.raises(InvalidSignatureError):
            verify_timestamp(token, b"x", roots)


def test_time_is_a_range():
    start, end = verify_timestamp(fake.create_timestamp(AUTHORITY, b"x"), b"x", [TSA_ROOT])
    assert end - start == timedelta(seconds=2)


@pytest.mark.parametrize(
    "token",
    [b"", b"x", b"\x30\x80\x00\x00", bytes(100_000)],
    ids=["empty", "text", "indefinite", "large"],
)
def test_malformed_timestamp_is_refused(token):
    with pytest.raises(InvalidSignatureError) as raised:
        verify_timestamp(token, b"x", [TSA_ROOT])
    assert raised.value.problem == "timestamp"


def test_timestamp_of_another_signature_is_refused():
    token = fake.create_timestamp(AUTHORITY, b"x")
    with pytest.raises(InvalidSignatureError):
        verify_timestamp(token, b"y", [TSA_ROOT])


def test_timestamp_without_a_strong_hash_of_the_certificate_is_refused():
    token = fake.create_timestamp(AUTHORITY, b"x", "sha1")
    with pytest.raises(InvalidSignatureError, match="does not name"):
        verify_timestamp(token, b"x", [TSA_ROOT])


def test_hash_of_the_certificate_may_have_another_algorithm():
    verify_timestamp(fake.create_timestamp(AUTHORITY, b"x", "sha512"), b"x", [TSA_ROOT])


@pytest.mark.parametrize("step", range(5))
def test_flipped_byte_of_a_timestamp_is_refused(step):
    """A byte that no signature covers may change, such as one of another encoding."""
    token = fake.create_timestamp(AUTHORITY, b"x")
    expected = verify_timestamp(token, b"x", [TSA_ROOT])
    for position in range(step * 5, len(token), 23):
        changed = bytearray(token)
        changed[position] ^= 1 << position % 8
        try:
            found = verify_timestamp(bytes(changed), b"x", [TSA_ROOT])
        except InvalidSignatureError:
            continue
        assert found == expected
