"""Attestations of an export: their bytes, and what is refused."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources

import jsonschema
import pytest
from hypothesis import given, strategies as st

from bundler.bundle.format.inventory.inventory import Producer
from bundler.bundle.format.signatures import attestation
from bundler.bundle.format.signatures.attestation import EntryRecord, ExportStatement, SourceRecord
from bundler.errors import BundlerError, LimitError, SigstoreSignatureError
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.media_types import OCI_INDEX
from bundler.trust import keys
from bundler.trust.sigstore import bundle as sigstore, dsse
from bundler.trust.sigstore.keys import parse_public_key

KEY = keys.generate_key()
OTHER = keys.generate_key()
DIGEST = Digest("sha256:" + "ab" * 32)
FULL = ExportStatement(
    reference="registry.corp/team/app:1",
    digest=DIGEST,
    source=SourceRecord(
        "docker",
        Digest("sha256:" + "cd" * 32),
        "docker://registry.corp/team/app:1",
        "mirror.corp/hub/team/app",
    ),
    stream="plant-7",
    serial=1795417200,
    exported=datetime(2026, 11, 23, 7, tzinfo=UTC),
    tool=Producer("airbundle", "1.2.3"),
    entry=EntryRecord("plant-7.yaml", 12, Digest("sha256:" + "ef" * 32)),
    platforms=("linux/amd64", "linux/arm64/v8"),
)
SMALLEST = ExportStatement(
    "localhost/layout:app",
    DIGEST,
    SourceRecord("oci", DIGEST),
    "plant-7",
    0,
    FULL.exported,
    FULL.tool,
)
RECORDED = (
    b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"bundle":{"serial":1795417200,'
    b'"stream":"plant-7"},"entry":{"digest":"sha256:' + b"ef" * 32 + b'","file":"plant-7.yaml",'
    b'"line":12},"exported":"2026-11-23T07:00:00Z","platforms":["linux/amd64","linux/arm64/v8"],'
    b'"source":{"digest":"sha256:' + b"cd" * 32 + b'","mirror":"mirror.corp/hub/team/app",'
    b'"reference":"docker://registry.corp/team/app:1","transport":"docker"},'
    b'"tool":{"name":"airbundle","version":"1.2.3"}},'
    b'"predicateType":"urn:airbundle:export:v1","subject":[{"digest":{"sha256":"'
    + b"ab" * 32
    + b'"},"name":"registry.corp/team/app:1"}]}'
)


def sign(payload, *, key=KEY, kind=dsse.IN_TOTO, signed_kind=None):
    """Return a sigstore bundle with any payload; ``signed_kind`` is the type that is signed."""
    signature = key.sign(dsse.encode_pae(signed_kind or kind, payload))
    return wrap(dsse.Envelope(kind, payload, signature).to_json())


def wrap(envelope, **material):
    return json.dumps(
        {
            "mediaType": sigstore.MEDIA_TYPE,
            "verificationMaterial": material or {"publicKey": {"hint": ""}},
            "dsseEnvelope": envelope,
        }
    ).encode()


def change(**members):
    """Return the payload of the complete statement with other members."""
    return json.dumps(json.loads(FULL.to_bytes()) | members).encode()


def change_predicate(**members):
    return change(predicate=FULL.to_json() | members)


def refuse(raw, *trusted, digest=DIGEST):
    with pytest.raises(SigstoreSignatureError) as raised:
        attestation.verify(raw, digest, trusted or [KEY.public])
    return raised.value.problem


def test_statement_is_as_recorded():
    assert FULL.to_bytes() == RECORDED


@pytest.mark.parametrize("statement", [FULL, SMALLEST])
def test_predicate_matches_schema(statement):
    path = resources.files("bundler") / "schemas/export-predicate.schema.json"
    schema = json.loads(path.read_text())
    jsonschema.validate(statement.to_json(), schema)


@pytest.mark.parametrize("statement", [FULL, SMALLEST])
@pytest.mark.parametrize("algorithm", ["ecdsa-p256", "ed25519"])
def test_signed_statement_is_read_again(statement, algorithm):
    key = keys.generate_key(algorithm)
    raw = attestation.sign(statement, key)
    found = attestation.verify(raw, DIGEST, [OTHER.public, key.public])
    assert found == (key.public, statement)


def test_reader_ignores_unknown_members():
    _, found = attestation.verify(sign(change_predicate(more=1)), DIGEST, [KEY.public])
    assert found == FULL


def test_export_does_not_change_what_is_stated_about_the_image():
    later = replace(
        FULL,
        serial=9,
        exported=datetime(2027, 1, 1, tzinfo=UTC),
        tool=Producer("airbundle", "2"),
        entry=None,
    )
    assert FULL.describes_same(later)
    for other in (
        replace(FULL, digest=Digest("sha256:" + "00" * 32)),
        replace(FULL, reference="registry.corp/team/app:2"),
        replace(FULL, stream="plant-8"),
        replace(FULL, platforms=()),
        replace(FULL, source=replace(FULL.source, mirror=None)),
    ):
        assert not FULL.describes_same(other)


def test_artifact_refers_to_the_image():
    raw = attestation.sign(FULL, KEY)
    root = Descriptor(OCI_INDEX, DIGEST, 7, annotations={"a": "b"})
    written = attestation.create_manifest(FULL, raw, root)
    parsed = manifest.parse(written, None)
    assert (parsed.subject.digest, parsed.subject.size) == (DIGEST, 7)
    assert parsed.artifact_type == sigstore.MEDIA_TYPE
    assert [layer.digest for layer in parsed.layers] == [Digest.of(raw)]
    assert parsed.annotations["dev.sigstore.bundle.predicateType"] == attestation.TYPE
    referrer = attestation.create_referrer(written, DIGEST)
    assert [node.digest for node in referrer.graph.blobs] == [Digest.of(b"{}"), Digest.of(raw)]


def test_other_key_is_refused():
    assert refuse(attestation.sign(FULL, OTHER)) == "signature"
    with pytest.raises(SigstoreSignatureError):
        attestation.verify(attestation.sign(FULL, KEY), DIGEST, [])


def test_other_subject_is_refused():
    raw = attestation.sign(FULL, KEY)
    assert refuse(raw, digest=Digest("sha256:" + "00" * 32)) == "digest"
    assert refuse(raw, digest=Digest("sha512:" + "ab" * 64)) == "digest"
    subject = {"digest": {"sha256": DIGEST.hex}}
    assert refuse(sign(change(subject=[subject, subject]))) == "digest"
    assert refuse(sign(change(subject=[]))) == "payload"
    assert refuse(sign(change(subject=[{"name": "app"}]))) == "digest"
    assert refuse(sign(change(subject=[subject] * 2000))) == "payload"


@pytest.mark.parametrize(
    "kind",
    [
        "https://sigstore.dev/cosign/sign/v1",
        "https://slsa.dev/provenance/v1",
        "urn:airbundle:export:v2",
        "URN:AIRBUNDLE:EXPORT:V1",
    ],
)
def test_other_predicate_is_refused(kind):
    assert refuse(sign(change(predicateType=kind))) == "payload"


def test_signature_of_other_document_is_refused():
    """The type of the payload is signed too, and no signature of ``bundle.json`` covers it."""
    payload = FULL.to_bytes()
    plain = dsse.Envelope(dsse.IN_TOTO, payload, KEY.sign(payload))
    assert refuse(wrap(plain.to_json())) == "signature"
    assert refuse(sign(payload, kind="application/json")) == "payload"
    assert refuse(sign(payload, signed_kind="application/json")) == "signature"
    inventory = b'{"_type":"airbundle/bundle/v1"}\n'
    assert refuse(sign(inventory)) == "payload"
    key = parse_public_key(KEY.public.to_pem(), "key")
    assert refuse(sigstore.create_key_bundle(key, KEY.sign(payload), payload)) == "payload"


def test_envelope_with_other_signers_is_refused():
    envelope = json.loads(attestation.sign(FULL, KEY))["dsseEnvelope"]
    twice = envelope | {"signatures": envelope["signatures"] * 2}
    assert refuse(wrap(twice)) == "format"
    assert refuse(wrap(envelope | {"signatures": []})) == "format"
    certificate = {"certificate": {"rawBytes": base64.b64encode(b"x").decode()}}
    assert refuse(wrap(envelope, **certificate)) == "payload"
    assert refuse(wrap(envelope, **certificate, publicKey={"hint": ""})) == "format"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b"[]",
        FULL.to_bytes() + b"{}",
        FULL.to_bytes().replace(b'"stream"', b'"stream":"other","stream"'),
        FULL.to_bytes().replace(b'"predicate":', b'"predicate":{},"predicate":'),
        b'{"predicate":' + b"[" * 2000 + b"]" * 2000 + b"}",
        change_predicate(bundle={"stream": "../x", "serial": 1}),
        change_predicate(bundle={"stream": "plant-7", "serial": -1}),
        change_predicate(bundle={"stream": "plant-7", "serial": True}),
        change_predicate(bundle=[]),
        change_predicate(exported="yesterday"),
        change_predicate(tool={"name": "airbundle\x1b[2J", "version": "1"}),
        change_predicate(source={"transport": "docker", "digest": "sha256:00"}),
        change_predicate(source={"transport": "x" * 5000, "digest": DIGEST.text}),
        change_predicate(entry={"file": "a\nb", "line": 1, "digest": DIGEST.text}),
        change_predicate(entry={"file": "a"}),
        change_predicate(platforms=["linux/\u202eamd64"]),
        change_predicate(platforms="linux/amd64"),
        change(subject=[{"name": "\x1b[2J", "digest": {"sha256": DIGEST.hex}}]),
        change(predicate=None),
        change(_type="https://in-toto.io/Statement/v2"),
    ],
)
def test_malformed_statement_is_refused_although_it_is_signed(payload):
    assert refuse(sign(payload)) == "payload"


def test_huge_statement_is_refused():
    padding = "x" * (17 * 1024 * 1024)
    with pytest.raises((SigstoreSignatureError, LimitError)):
        attestation.verify(sign(change_predicate(more=padding)), DIGEST, [KEY.public])


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b'{"mediaType":1}', b"null"]))
def test_garbage_is_refused(raw):
    with pytest.raises(BundlerError):
        attestation.verify(raw, DIGEST, [KEY.public])


def test_every_flipped_bit_of_the_payload_is_refused():
    raw = attestation.sign(SMALLEST, KEY)
    bundle = json.loads(raw)
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 1
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(changed).decode()
        assert refuse(json.dumps(bundle).encode()) == "signature"
