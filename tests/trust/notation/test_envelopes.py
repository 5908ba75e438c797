"""Hostile envelopes: what is neither JWS nor COSE as the specifications define it."""

from __future__ import annotations

import json

import cbor2
import pytest
from hypothesis import given, strategies as st

from bundler.errors import InvalidSignatureError
from bundler.trust.notation.chain import parse_chain
from bundler.trust.notation.cose import parse_cose
from bundler.trust.notation.envelope import MAX_ENVELOPE
from bundler.trust.notation.jws import parse_jws
from tests.fakes import notation as fake
from tests.fakes.notation import NOW, PREFIX, TARGET, Signature

SIGNER = fake.create_signer()
GOOD = Signature(SIGNER, TARGET)
MESSAGE = cbor2.loads(GOOD.to_cose()).value


def refuses(parse, raw):
    with pytest.raises(InvalidSignatureError) as raised:
        parse(raw)
    assert len(raised.value.message) < 500
    return raised.value.problem


def edit_jws(**members):
    document = json.loads(GOOD.to_jws())
    return fake.encode(fake.merge(document, members))


def write_cose(*, tag=18, **members):
    parts = dict(zip(("protected", "unprotected", "payload", "signature"), MESSAGE, strict=True))
    return cbor2.dumps(cbor2.CBORTag(tag, list(fake.merge(parts, members).values())))


def test_good_envelopes_are_read_alike():
    first, second = parse_jws(GOOD.to_jws()), parse_cose(GOOD.to_cose())
    for name in ("algorithm", "attributes", "payload", "certificates", "timestamp"):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize(
    "time",
    ["2026-12-01T13:00:00+01:00", "2026-12-01T12:00:00.000Z", "2026-12-01T07:30:00-04:30"],
)
def test_times_of_jws_may_have_an_offset(time):
    raw = Signature(SIGNER, TARGET, headers={f"{PREFIX}signingTime": time}).to_jws()
    assert parse_jws(raw).attributes.signing_time == NOW


@pytest.mark.parametrize(
    "time",
    [
        *("2026-12-01", "2026-12-01T12:00:00", "2026-02-30T12:00:00Z", "20261201T120000Z"),
        *("", [], 1, "2026-12-01T12:00:00+25:00", "\u0662026-12-01T12:00:00Z"),
        *("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"),
    ],
)
def test_other_times_of_jws_are_refused(time):
    raw = Signature(SIGNER, TARGET, headers={f"{PREFIX}expiry": time}, critical=[
        f"{PREFIX}signingScheme", f"{PREFIX}expiry"]).to_jws()  # fmt: skip
    assert refuses(parse_jws, raw) == "format"


JWS = [
    b"",
    b"[]",
    b"{}",
    b"a.b.c",
    GOOD.to_jws()[:-1],
    GOOD.to_jws() + b"{}",
    GOOD.to_jws().replace(b"{", b'{"payload":"e30",', 1),
    b"[" * 100_000 + b"]" * 100_000,
    b'{"payload":"' + b"A" * MAX_ENVELOPE + b'"}',
    edit_jws(header=[]),
    edit_jws(signatures=[]),
    edit_jws(Payload="e30"),
    edit_jws(payload=None),
    edit_jws(payload=7),
    edit_jws(payload="e30="),
    edit_jws(payload="e3*0"),
    edit_jws(protected="e30"),
    edit_jws(protected=fake.url(b"[]")),
    edit_jws(protected=fake.url(b"[" * 50_000 + b"]" * 50_000)),
    edit_jws(signature=""),
    edit_jws(header={"x5c": "AAAA"}),
    edit_jws(header={"x5c": [7]}),
    edit_jws(header={"x5c": ["not base64"]}),
    edit_jws(header={"x5c": [], "alg": "PS256"}),
    edit_jws(header={"X5C": []}),
    edit_jws(header={"x5c": [], f"{PREFIX}timestampSignature": "?"}),
    Signature(SIGNER, TARGET, headers={"ALG": "none"}).to_jws(),
    Signature(SIGNER, TARGET, headers={f"{PREFIX}Expiry": "2026-01-01T00:00:00Z"}).to_jws(),
    Signature(SIGNER, TARGET, headers={"cty": "application/json"}).to_jws(),
    Signature(SIGNER, TARGET, headers={"crit": "alg"}).to_jws(),
    Signature(SIGNER, TARGET, headers={"crit": [7]}).to_jws(),
    Signature(SIGNER, TARGET, headers={"alg": ["ES256"]}).to_jws(),
]


@pytest.mark.parametrize("number", range(len(JWS)))
def test_malformed_jws_is_refused(number):
    assert refuses(parse_jws, JWS[number])


TIME = cbor2.CBORTag(1, int(NOW.timestamp()))
OTHER_TIMES = {
    "no tag": int(NOW.timestamp()),
    "fraction": cbor2.CBORTag(1, 1.5),
    "negative": cbor2.CBORTag(1, -1),
    "far": cbor2.CBORTag(1, 2**63),
    "true": cbor2.CBORTag(1, True),
    "text": "2026-12-01T12:00:00Z",
    "text tag": cbor2.CBORTag(0, "2026-12-01T12:00:00Z"),
    "nested": cbor2.CBORTag(1, TIME),
    "unknown tag": cbor2.CBORTag(99, 1),
}


@pytest.mark.parametrize("name", OTHER_TIMES)
def test_other_times_of_cose_are_refused(name):
    headers = {f"{PREFIX}signingTime": OTHER_TIMES[name]}
    assert refuses(parse_cose, Signature(SIGNER, TARGET, headers=headers).to_cose()) == "format"


COSE = {
    "empty": b"",
    "JSON": b"{}",
    "no tag": cbor2.dumps(list(MESSAGE)),
    "tag of several signers": write_cose(tag=98),
    "tag of a MAC": write_cose(tag=17),
    "tag twice": b"\xd2" + GOOD.to_cose(),
    "self-described": b"\xd9\xd9\xf7" + GOOD.to_cose(),
    "bytes after it": GOOD.to_cose() + b"\0",
    "truncated": GOOD.to_cose()[:-1],
    "three parts": cbor2.dumps(cbor2.CBORTag(18, list(MESSAGE)[:3])),
    "five parts": cbor2.dumps(cbor2.CBORTag(18, [*MESSAGE, b""])),
    "detached payload": cbor2.dumps(cbor2.CBORTag(18, [*MESSAGE[:2], None, MESSAGE[3]])),
    "payload is text": write_cose(payload="text"),
    "headers are not bytes": write_cose(protected={1: -7}),
    "headers are not a map": write_cose(protected=cbor2.dumps([1])),
    "headers are empty": write_cose(protected=b""),
    "header twice": write_cose(protected=b"\xa2\x01\x26\x01\x26"),
    "unprotected header twice": cbor2.dumps(cbor2.CBORTag(18, [b""]))[:1] + b"\x84\x40\xa2\1\1\1\1",
    "protected and unprotected": write_cose(unprotected={**MESSAGE[1], 1: -7}),
    "header named by true": write_cose(unprotected={True: 1}),
    "header named by an array": write_cose(unprotected={(1,): 1}),
    "chain is one certificate": write_cose(unprotected={33: b"der"}),
    "chain of texts": write_cose(unprotected={33: ["der"]}),
    "timestamp is text": write_cose(unprotected={33: [], f"{PREFIX}timestampSignature": "x"}),
    "too large": write_cose(payload=bytes(MAX_ENVELOPE)),
    "indefinite": b"\xd2\x9f" + GOOD.to_cose()[2:] + b"\xff",
    "nested deeply": b"\xd2" + b"\x81" * 100_000,
    "length without content": b"\xd2\x9b" + b"\xff" * 8,
    "no critical headers": Signature(SIGNER, TARGET, headers={2: None}).to_cose(),
    "critical headers are text": Signature(SIGNER, TARGET, headers={2: "alg"}).to_cose(),
    "critical header is a map": Signature(SIGNER, TARGET, critical=[{}]).to_cose(),
    "other content type": Signature(SIGNER, TARGET, headers={3: "application/json"}).to_cose(),
    "content type is a number": Signature(SIGNER, TARGET, headers={3: 50}).to_cose(),
    "cyclic value": write_cose(
        unprotected={33: [], "x": cbor2.CBORTag(28, [cbor2.CBORTag(29, 0)])}
    ),
    "expression": write_cose(unprotected={33: [], "x": cbor2.CBORTag(35, "(a{1,9999}){1,9999}")}),
    "large number": write_cose(unprotected={33: [], "x": cbor2.CBORTag(2, bytes(100_000))}),
    "power": write_cose(unprotected={33: [], "x": cbor2.CBORTag(5, [2**60, 3])}),
}


@pytest.mark.parametrize("name", COSE)
def test_malformed_cose_is_refused(name):
    assert refuses(parse_cose, COSE[name]) in {"format", "payload", "unsupported"}


def test_no_tag_is_converted():
    """Each tag is refused, or remains a tag, which no header accepts."""
    for tag in (*range(2000), 43000, 55799, 65535):
        for content in (1, "a", b"a", [1, 2], {}):
            try:
                parse_cose(cbor2.dumps(cbor2.CBORTag(tag, content)))
            except InvalidSignatureError:
                continue
            raise AssertionError(tag)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw):
    refuses(parse_cose, raw)
    refuses(parse_cose, b"\xd2" + raw)
    refuses(parse_jws, raw)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=8,
    ),
    st.integers(0, 3),
)
def test_any_value_in_a_message_is_refused(value, position):
    message = list(MESSAGE)
    message[position] = value
    if position > 1 and isinstance(value, bytes):
        return
    raw = cbor2.dumps(cbor2.CBORTag(18, message))
    refuses(lambda raw: parse_chain(parse_cose(raw).certificates), raw)
