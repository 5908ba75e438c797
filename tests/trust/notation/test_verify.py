"""Which Notation signatures are accepted, in both envelopes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import InvalidSignatureError
from tests.fakes import images, notation as fake
from tests.fakes.notation import COSE, DAY, JWS, NOW, ROOT, TARGET, Signature

SIGNER = fake.create_signer(root=ROOT)
WEAK = rsa.generate_private_key(65537, 1024)
MINE = "x509.subject: C=US, ST=WA, O=Example, CN=builder"
PLUGIN = f"{fake.PREFIX}verificationPlugin"
SIGNING_TIME, AUTHENTIC_TIME = f"{fake.PREFIX}signingTime", f"{fake.PREFIX}authenticSigningTime"

both = pytest.mark.parametrize("form", [JWS, COSE], ids=["jws", "cose"])


@both
@pytest.mark.parametrize("algorithm", fake.ALGORITHMS)
def test_each_algorithm_is_accepted(verify, form, algorithm):
    signer = fake.create_signer(root=ROOT, key=fake.get_key(algorithm))
    found = verify(Signature(signer, TARGET), form)
    assert found.store == "ca:corp"
    assert "CN=builder" in found.subject
    assert len(found.key_id) == 64


@both
def test_optional_attributes_are_accepted(verify, form):
    headers = {"com.example.build": "7"}
    unprotected = {f"{fake.PREFIX}signingAgent": "notation/1.3.2"}
    payload = json.dumps({"targetArtifact": TARGET.descriptor(annotations={"a": "b"})}).encode()
    verify(
        Signature(
            SIGNER, TARGET, expiry=NOW + DAY, headers=headers, unprotected=unprotected,
            payload=payload,
        ),
        form,
    )  # fmt: skip


@both
def test_self_signed_certificate_is_accepted_from_the_store(verify, form):
    signer = fake.issue(fake.subject("alone"))
    verify(Signature(signer, TARGET), form, stores={"ca:corp": [signer.certificate]})


@both
def test_intermediate_certificate_in_the_store_is_accepted(verify, form):
    stores = {"ca:middle": [SIGNER.issuer.certificate]}
    assert verify(Signature(SIGNER, TARGET), form, stores=stores).store == "ca:middle"


@both
@pytest.mark.parametrize("digest", ["digest", "size", "mediaType"])
def test_signature_of_another_artifact_is_refused(refuse, form, digest):
    other = {"digest": "sha256:" + "0" * 64, "size": 7, "mediaType": images.OCI["index"]}
    described = TARGET.descriptor() | {digest: other[digest]}
    signature = Signature(SIGNER, TARGET, payload=fake.encode({"targetArtifact": described}))
    assert refuse(signature, form) == "digest"


@both
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"not JSON",
        b'{"targetArtifact":null}',
        b'{"targetArtifact":[]}',
        b'{"targetArtifact":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        fake.encode({"targetArtifact": TARGET.descriptor()})[:-1] + b',"targetArtifact":{}}',
        fake.encode({"targetartifact": {}, "targetArtifact": TARGET.descriptor()}),
    ],
)
def test_other_payload_is_refused(refuse, form, payload):
    assert refuse(Signature(SIGNER, TARGET, payload=payload), form) in {"payload", "format"}


@both
def test_false_signature_is_refused(refuse, form):
    assert refuse(Signature(SIGNER, TARGET, false=True), form) == "signature"


@both
def test_expired_signature_is_refused(refuse, verify, form):
    signature = Signature(SIGNER, TARGET, expiry=NOW + DAY)
    verify(signature, form, moment=NOW + DAY - timedelta(seconds=1))
    assert refuse(signature, form, moment=NOW + DAY) == "expired"
    assert refuse(replace(signature, expiry=NOW), form) == "format"


@both
def test_certificates_must_be_valid_now_without_a_timestamp(refuse, verify, form):
    signature = Signature(SIGNER, TARGET)
    verify(signature, form, moment=NOW + fake.LIFETIME)
    assert refuse(signature, form, moment=NOW + fake.LIFETIME + DAY) == "certificate"
    assert refuse(signature, form, moment=NOW - 31 * DAY) == "certificate"


@both
def test_other_authority_is_refused(refuse, form):
    other = fake.create_root()
    stores = {"ca:corp": [other.certificate]}
    assert refuse(Signature(SIGNER, TARGET), form, stores=stores) == "certificate"


@both
def test_authority_with_the_same_name_is_refused(refuse, form):
    """The chain contains the trusted root, which did not issue the certificates."""
    signer = fake.create_signer(root=fake.create_root())
    chain = [*signer.chain[:-1], ROOT.certificate]
    assert refuse(Signature(signer, TARGET, chain=chain), form) == "certificate"


@both
@pytest.mark.parametrize("level", ["strict", "permissive", "audit"])
def test_level_does_not_weaken_the_verification(refuse, form, level):
    override = {"expiry": "log", "authenticity": "log", "authenticTimestamp": "log"}
    signature = Signature(SIGNER, TARGET, expiry=NOW + DAY)
    for options in ({"moment": NOW + 2 * DAY}, {"identities": (MINE + "x",)}):
        refuse(signature, form, level=level, override=override, **options)


@both
@pytest.mark.parametrize(
    ("identities", "accepted"),
    [
        (("*",), True),
        ((MINE,), True),
        (("x509.subject: C=US, ST=WA, O=Example",), True),
        (("x509.subject:O=Example,S=WA,C=US",), True),
        ((MINE.replace("builder", "other"), MINE), True),
        ((MINE.replace("builder", "other"),), False),
        ((MINE.replace("builder", "Builder"),), False),
        ((MINE.replace("builder", "build"),), False),
        ((MINE + ", OU=more",), False),
        (("x509.subject: C=US, ST=WA, O=*",), False),
    ],
)
def test_identity_is_compared_exactly(verify, refuse, form, identities, accepted):
    signature = Signature(SIGNER, TARGET)
    if accepted:
        verify(signature, form, identities=identities)
    else:
        assert refuse(signature, form, identities=identities) == "subject"


@pytest.mark.parametrize("identity", ["*", MINE])
def test_malformed_subject_is_refused(refuse, verify, identity):
    """Its issuer is trusted, but not to be competent."""
    signer = fake.create_signer(root=ROOT)
    same = fake.edit_certificate(signer, b"builder", b"builder")
    verify(Signature(same, TARGET), identities=(identity,))
    for old, new in ((b"builder", b"build\xff\xff"), (b"\x0c\x07builder", b"\x03\x07\0uilder")):
        edited = fake.edit_certificate(signer, old, new)
        assert refuse(Signature(edited, TARGET), identities=(identity,)) == "certificate"


def test_subject_of_issuer_is_not_an_identity(refuse):
    identity = "x509.subject: C=US, ST=WA, O=Example, CN=intermediate"
    assert refuse(Signature(SIGNER, TARGET), identities=(identity,)) == "subject"


@both
@pytest.mark.parametrize(
    ("scheme", "headers", "problem"),
    [
        ("notary.x509.other", {}, "unsupported"),
        (fake.SCHEME, {AUTHENTIC_TIME: "time"}, "format"),
        (fake.SCHEME, {SIGNING_TIME: None}, "format"),
        (fake.AUTHORITY_SCHEME, {SIGNING_TIME: "time"}, "format"),
        (fake.AUTHORITY_SCHEME, {AUTHENTIC_TIME: None}, "format"),
        (fake.SCHEME, {SIGNING_TIME: "yesterday"}, "format"),
        (fake.SCHEME, {SIGNING_TIME: 1764590400}, "format"),
        (fake.SCHEME, {f"{fake.PREFIX}signingScheme": None}, "unsupported"),
        (fake.SCHEME, {f"{fake.PREFIX}signingScheme": ["notary.x509"]}, "unsupported"),
        (fake.SCHEME, {PLUGIN: "com.example"}, "unsupported"),
    ],
)
def test_scheme_and_time_are_checked(refuse, form, scheme, headers, problem):
    signature = Signature(SIGNER, TARGET, scheme=scheme, headers=headers)
    assert refuse(signature, form) == problem


@both
@pytest.mark.parametrize(
    ("critical", "headers", "problem"),
    [
        ([], {}, "format"),
        ([SIGNING_TIME], {}, "unsupported"),
        ([f"{fake.PREFIX}signingScheme", "com.example.rule"], {"com.example.rule": "x"},
         "unsupported"),
        ([f"{fake.PREFIX}signingScheme", "com.example.rule"], {}, "unsupported"),
        ([f"{fake.PREFIX}signingScheme", PLUGIN], {PLUGIN: "com.example"}, "unsupported"),
        ([f"{fake.PREFIX}signingScheme", "cty"], {}, "unsupported"),
        ([[]], {}, "unsupported"),
        (["signingScheme"], {}, "unsupported"),
    ],
)  # fmt: skip
def test_critical_headers_must_be_known(refuse, form, critical, headers, problem):
    signature = Signature(SIGNER, TARGET, critical=critical, headers=headers)
    assert refuse(signature, form) in {problem, "format"}


@both
def test_expiry_must_be_critical(refuse, form):
    critical = [f"{fake.PREFIX}signingScheme"]
    assert refuse(Signature(SIGNER, TARGET, expiry=NOW + DAY, critical=critical), form) == "format"


@both
def test_signing_authority_proves_the_time(verify, refuse, form):
    signature = Signature(SIGNER, TARGET, scheme=fake.AUTHORITY_SCHEME)
    stores = {"signingAuthority:corp": [ROOT.certificate]}
    later = NOW + 2 * fake.LIFETIME
    found = verify(signature, form, stores=stores, moment=later)
    assert found.store == "signingAuthority:corp"
    early = replace(signature, signing_time=NOW - 31 * DAY)
    assert refuse(early, form, stores=stores, moment=NOW) == "certificate"


@both
def test_stores_of_users_and_of_signing_authorities_are_separate(refuse, form):
    ca = {"ca:corp": [ROOT.certificate]}
    authority = {"signingAuthority:corp": [ROOT.certificate]}
    for scheme, stores in ((fake.AUTHORITY_SCHEME, ca), (fake.SCHEME, authority)):
        signature = Signature(SIGNER, TARGET, scheme=scheme)
        assert refuse(signature, form, stores=stores) == "certificate"


@both
@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({}, True),
        ({"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)}, True),
        ({"constraints": False}, True),
        ({"constraints": True}, False),
        ({"usage": ()}, False),
        ({"critical": False}, False),
        ({"usage": ("content_commitment",)}, False),
        ({"usage": ("digital_signature", "content_commitment")}, True),
        ({"usage": ("digital_signature", "key_cert_sign")}, False),
        ({"usage": ("digital_signature", "key_agreement", "encipher_only")}, False),
        ({"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)}, False),
        ({"purposes": (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH)}, False),
        ({"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)}, False),
        ({"algorithm": hashes.SHA512()}, True),
        ({"algorithm": hashes.SHA224()}, False),
    ],
)
def test_certificate_must_be_for_signing_code(verify, refuse, form, options, accepted):
    signature = Signature(fake.create_signer(root=ROOT, **options), TARGET)
    if accepted:
        verify(signature, form)
    else:
        assert refuse(signature, form) == "certificate"


@pytest.mark.parametrize(
    "options",
    [
        {"authority": False},
        {"authority": True, "critical": False},
        {"authority": True, "usage": ("crl_sign",)},
        {"authority": True, "usage": ()},
        {"authority": False, "usage": ("key_cert_sign",)},
        {"authority": True, "key": WEAK},
    ],
)
def test_issuer_must_be_an_authority(refuse, options):
    middle = fake.issue(fake.subject("intermediate"), ROOT, **options)
    signer = fake.issue(fake.subject("builder"), middle)
    assert refuse(Signature(signer, TARGET)) == "certificate"


def test_path_length_is_observed(refuse, verify):
    first = fake.issue(fake.subject("first"), ROOT, authority=True, path_length=0)
    verify(Signature(fake.issue(fake.subject("builder"), first), TARGET))
    second = fake.issue(fake.subject("second"), first, authority=True)
    signer = fake.issue(fake.subject("builder"), second)
    assert refuse(Signature(signer, TARGET)) == "certificate"


CHAINS = {
    "none": lambda chain: [],
    "signer": lambda chain: chain[:1],
    "no root": lambda chain: chain[:2],
    "reversed": lambda chain: chain[::-1],
    "wrong order": lambda chain: [chain[0], chain[2], chain[1]],
    "root twice": lambda chain: [*chain, chain[-1]],
    "another chain": lambda chain: [*chain, *fake.create_signer().chain],
    "signer twice": lambda chain: [chain[0], *chain],
    "no signer": lambda chain: chain[1:],
    "repeated": lambda chain: [*chain[:2] * 10, chain[2]],
    "thousands": lambda chain: chain * 4000,
}


@both
@pytest.mark.parametrize("name", CHAINS)
def test_certificates_must_be_one_complete_chain(refuse, form, name):
    signature = Signature(SIGNER, TARGET, chain=CHAINS[name](SIGNER.chain))
    assert refuse(signature, form) in {"certificate", "format"}


@both
@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("ES256", "ES384"), ("ES384", "ES256"), ("PS256", "PS512"), ("PS384", "PS256")],
)
def test_algorithm_is_determined_by_the_key(refuse, form, key, algorithm):
    signer = fake.create_signer(root=ROOT, key=fake.get_key(key))
    assert refuse(Signature(signer, TARGET, algorithm=algorithm), form) == "signature"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "EdDSA", "ES256K", "", "es256"])
def test_other_algorithms_of_jws_are_refused(refuse, algorithm):
    headers = {"alg": algorithm}
    assert refuse(Signature(SIGNER, TARGET, headers=headers)) in {"signature", "format"}


@pytest.mark.parametrize("label", [5, -257, -8, -47, 0, True, "ES256", None])
def test_other_algorithms_of_cose_are_refused(refuse, label):
    assert refuse(Signature(SIGNER, TARGET, headers={1: label}), COSE) == "unsupported"


@pytest.mark.parametrize("bits", [1024, 2056])
def test_key_of_another_size_is_refused(refuse, bits):
    signer = fake.create_signer(root=ROOT, key=rsa.generate_private_key(65537, bits))
    assert refuse(Signature(signer, TARGET)) == "certificate"


def test_chain_with_an_ed25519_authority_is_accepted(verify):
    middle = ed25519.Ed25519PrivateKey.generate()
    issuer = fake.issue(fake.subject("intermediate"), ROOT, authority=True, key=middle)
    leaf = fake.get_key("ES256")
    signer = fake.issue(fake.subject("builder"), issuer, key=leaf, algorithm=None)
    verify(Signature(signer, TARGET))


@pytest.mark.parametrize(
    ("form", "media_type"),
    [(JWS, COSE), (COSE, JWS), (JWS, "application/octet-stream"), (JWS, "")],
)
def test_media_type_selects_the_form(refuse, form, media_type):
    raw = Signature(SIGNER, TARGET).to_envelope(form)
    assert refuse(raw, form, media_type=media_type or "?") in {"format", "unsupported"}


# cryptography warns about serial numbers that are not positive, before the chain is refused.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@both
def test_each_flipped_byte_of_an_envelope_is_refused_or_has_no_effect(verify, form):
    """Only what is not signed can change: the form of the document, and an unknown header."""
    raw = Signature(SIGNER, TARGET).to_envelope(form)
    expected = verify(raw, form)
    for position in range(len(form) % 7, len(raw), 7):
        changed = bytearray(raw)
        changed[position] ^= 1 << position % 8
        try:
            found = verify(bytes(changed), form)
        except InvalidSignatureError:
            continue
        assert found == expected
