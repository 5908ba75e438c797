"""Signatures by keys, Fulcio and a private PKI: accepted ones, and refused forgeries."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SigstoreSignature,
)
from bundler.trust.sigstore import certificates, keys
from bundler.trust.sigstore.attachments.attachment import (
    SigstoreKeys,
    TrustedFulcio,
    TrustedPki,
    verify_attachment,
)
from bundler.trust.sigstore.certificates import Authority, OidcIdentity, PkiIdentity
from tests.fakes import sigstore as fake
from tests.fakes.sigstore import DAY, EMAIL, ISSUER, MINUTE, NOW

MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
DIGEST = Digest.of(MANIFEST)
KEY = fake.create_key()
FULCIO = fake.FakeFulcio()
LOG = fake.FakeLog()
N_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verification_key(key):
    return keys.accept_public_key(key.public_key(), "key")


def trusted_keys(*items, logs=()):
    return SigstoreKeys(
        tuple(map(verification_key, items)), tuple(verification_key(log.key) for log in logs)
    )


def trusted_fulcio(fulcio=FULCIO, log=LOG, email=EMAIL, issuer=ISSUER):
    return TrustedFulcio(
        Authority((fulcio.root,)),
        OidcIdentity(issuer, email),
        (verification_key(log.key),),
    )


def trusted_pki(fulcio=FULCIO, **identity):
    return TrustedPki(Authority((fulcio.root,), (fulcio.intermediate,)), PkiIdentity(**identity))


def keyless(*, fulcio=FULCIO, log=LOG, moment=NOW, **options) -> SigstoreSignature:
    certificate = fulcio.issue(KEY, **options)
    return fake.attach(
        KEY, DIGEST, certificate=certificate, chain=fulcio.chain_pem, log=log, moment=moment
    )


def verify(signature, trust, *, manifest=MANIFEST, moment=NOW):
    return verify_attachment(signature, trust, manifest, moment)


def refuse(signature, trust, problem, **options):
    with pytest.raises(SigstoreSignatureError) as caught:
        verify(signature, trust, **options)
    assert caught.value.problem == problem, caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 600


def annotate(signature, /, **changes):
    names = {
        "signature": SIGNATURE_ANNOTATION,
        "bundle": BUNDLE_ANNOTATION,
        "certificate": CERTIFICATE_ANNOTATION,
        "chain": CHAIN_ANNOTATION,
    }
    changed = {names[name]: value for name, value in changes.items()}
    return replace(signature, annotations={**signature.annotations, **changed})


def signed_with(data: bytes) -> SigstoreSignature:
    return fake.attach(KEY, DIGEST, payload=data)


# Keys


def test_signature_by_one_of_several_keys_is_accepted():
    found = verify(fake.attach(KEY, DIGEST), trusted_keys(fake.create_key(), KEY))
    assert found.payload.reference == "registry.example.org/app:1"
    assert found.payload.digest == DIGEST
    assert found.key == verification_key(KEY)


def test_signature_by_other_key_is_refused():
    refuse(fake.attach(fake.create_key(), DIGEST), trusted_keys(KEY), "signature")


def test_signature_by_no_key_is_refused():
    refuse(fake.attach(KEY, DIGEST), trusted_keys(), "signature")


def test_signature_for_other_digest_is_refused():
    refuse(fake.attach(KEY, DIGEST), trusted_keys(KEY), "digest", manifest=MANIFEST + b" ")


@pytest.mark.parametrize("text", ["", "AAAA", "!", "A" * 100_000])
def test_garbage_instead_of_signature_is_refused(text):
    refuse(annotate(fake.attach(KEY, DIGEST), signature=text), trusted_keys(KEY), "signature")


def test_attachment_of_other_type_is_refused():
    other = replace(fake.attach(KEY, DIGEST), media_type="application/vnd.dsse.envelope.v1+json")
    refuse(other, trusted_keys(KEY), "format")


def test_malleated_signature_verifies_as_same_key():
    """A second valid signature can be derived from a first one, so it identifies nothing."""
    signature = fake.attach(KEY, DIGEST)
    raw = base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION])
    r, s = utils.decode_dss_signature(raw)
    twin = base64.b64encode(utils.encode_dss_signature(r, N_P256 - s)).decode()
    assert twin != signature.annotations[SIGNATURE_ANNOTATION]
    first, second = (
        verify(item, trusted_keys(KEY)) for item in (signature, annotate(signature, signature=twin))
    )
    assert first == second


def test_malleated_signature_is_not_the_recorded_one():
    signature = fake.attach(KEY, DIGEST, log=LOG)
    raw = base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION])
    r, s = utils.decode_dss_signature(raw)
    twin = base64.b64encode(utils.encode_dss_signature(r, N_P256 - s)).decode()
    refuse(annotate(signature, signature=twin), trusted_keys(KEY, logs=[LOG]), "log")


def test_signature_with_bare_numbers_is_accepted_as_by_skopeo():
    signature = fake.attach(KEY, DIGEST)
    r, s = utils.decode_dss_signature(base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION]))
    bare = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
    verify(annotate(signature, signature=bare), trusted_keys(KEY))


@pytest.mark.parametrize(
    "private",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p384", "p521", "ed25519", "rsa"],
)
def test_key_of_every_accepted_algorithm_signs_and_verifies(private):
    key = keys.accept_private_key(private, "key")
    payload = fake.attach(KEY, DIGEST).payload
    text = base64.b64encode(key.sign(payload)).decode()
    signature = annotate(fake.attach(KEY, DIGEST), signature=text)
    signature = replace(signature, payload=payload)
    found = verify(signature, SigstoreKeys((key.public,)))
    assert found.key == key.public
    refuse(replace(signature, payload=payload + b" "), SigstoreKeys((key.public,)), "signature")


# The payload


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload["critical"].update(type="atomic container signature"),
        lambda payload: payload["critical"].pop("type"),
        lambda payload: payload["critical"].update(more=1),
        lambda payload: payload["critical"].update(Type="cosign container image signature"),
        lambda payload: payload["critical"]["image"].update({"docker-manifest-digest": "sha256:1"}),
        lambda payload: payload["critical"]["image"].update(
            {"Docker-manifest-digest": str(DIGEST)}
        ),
        lambda payload: payload["critical"]["identity"].update({"docker-reference": 1}),
        lambda payload: payload["critical"]["identity"].clear(),
        lambda payload: payload.update(other={}),
        lambda payload: payload.pop("optional"),
        lambda payload: payload.update(optional={"timestamp": "1"}),
        lambda payload: payload.update(optional={"timestamp": 1.5}),
        lambda payload: payload.update(optional={"timestamp": 1e300}),
        lambda payload: payload.update(optional={"creator": 1}),
        lambda payload: payload.update(optional=[]),
        lambda payload: payload.update(critical=None),
    ],
    ids=range(16),
)
def test_payload_with_other_members_is_refused(change):
    payload = json.loads(fake.attach(KEY, DIGEST).payload)
    change(payload)
    refuse(signed_with(json.dumps(payload).encode()), trusted_keys(KEY), "payload")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not JSON",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"critical":{},"critical":{},"optional":{}}',
        b'{"critical":{"type":"a","type":"b"},"optional":{}}',
        fake.attach(KEY, DIGEST).payload + b"{}",
        b"\xef\xbb\xbf" + fake.attach(KEY, DIGEST).payload,
        DIGEST.text.encode(),
    ],
    ids=range(11),
)
def test_correctly_signed_payload_that_is_not_strict_json_is_refused(raw):
    refuse(signed_with(raw), trusted_keys(KEY), "payload")


def test_duplicate_key_in_signed_payload_is_refused():
    payload = fake.attach(KEY, DIGEST).payload
    digest = b'"docker-manifest-digest":'
    twice = payload.replace(digest, digest + b'"sha256:' + b"0" * 64 + b'",' + digest)
    assert twice != payload
    refuse(signed_with(twice), trusted_keys(KEY), "payload")


@pytest.mark.parametrize("optional", [None, {}, {"team": ["a", {"b": 1}]}, {"timestamp": 1e9}])
def test_annotations_of_signer_are_allowed(optional):
    payload = json.loads(fake.attach(KEY, DIGEST).payload) | {"optional": optional}
    verify(signed_with(json.dumps(payload).encode()), trusted_keys(KEY))


def test_signed_sha512_digest_is_refused_as_by_skopeo():
    digest = Digest.of(MANIFEST, "sha512")
    refuse(fake.attach(KEY, digest), trusted_keys(KEY), "digest")


# The log


def test_recorded_signature_is_accepted():
    verify(fake.attach(KEY, DIGEST, log=LOG), trusted_keys(KEY, logs=[fake.FakeLog(), LOG]))


def test_entry_of_other_log_is_refused():
    refuse(fake.attach(KEY, DIGEST, log=fake.FakeLog()), trusted_keys(KEY, logs=[LOG]), "log")


def test_entry_of_other_artifact_is_refused():
    other = fake.attach(KEY, Digest.of(b"other"), log=LOG)
    signature = annotate(fake.attach(KEY, DIGEST), bundle=other.annotations[BUNDLE_ANNOTATION])
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


def test_entry_of_same_signature_for_other_content_is_refused():
    signature = fake.attach(KEY, DIGEST)
    raw = base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION])
    promise = LOG.record(fake.hashedrekord(fake.spki_pem(KEY), raw, b"other"))
    signature = annotate(signature, bundle=promise.to_annotation())
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


def test_entry_of_other_key_is_refused():
    signature = fake.attach(KEY, DIGEST)
    raw = base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION])
    body = fake.hashedrekord(fake.spki_pem(fake.create_key()), raw, signature.payload)
    signature = annotate(signature, bundle=LOG.record(body).to_annotation())
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


@pytest.mark.parametrize("member", ["body", "integratedTime", "logIndex", "logID"])
def test_every_member_of_entry_is_covered_by_promise(member):
    signature = fake.attach(KEY, DIGEST, log=LOG)
    bundle = json.loads(signature.annotations[BUNDLE_ANNOTATION])
    value = bundle["Payload"][member]
    bundle["Payload"][member] = value + 1 if isinstance(value, int) else value[4:]
    signature = annotate(signature, bundle=json.dumps(bundle))
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


@pytest.mark.parametrize(
    "bundle",
    [
        "",
        "{}",
        "[]",
        '{"SignedEntryTimestamp":"","Payload":{}}',
        '{"SignedEntryTimestamp":"","Payload":{"body":"","integratedTime":-1,"logIndex":0,"logID":"a"}}',
        '{"SignedEntryTimestamp":"","SignedEntryTimestamp":"","Payload":{}}',
        '{"SignedEntryTimestamp":"","Payload":{},"more":1}',
        "{" * 10_000,
        "x" * 3_000_000,
    ],
    ids=range(9),
)
def test_malformed_log_bundle_is_refused(bundle):
    signature = annotate(fake.attach(KEY, DIGEST), bundle=bundle)
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"apiVersion":"0.0.1","kind":"rekord","spec":{}}',
        b'{"apiVersion":"9.0.1","kind":"hashedrekord","spec":{}}',
        b'{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}',
        b'{"apiVersion":"0.0.1","kind":"dsse","spec":{}}',
    ],
)
def test_promised_entry_of_other_kind_is_refused(body):
    signature = fake.attach(KEY, DIGEST)
    signature = annotate(signature, bundle=LOG.record(body).to_annotation())
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


def test_promise_for_time_that_is_no_date_is_refused():
    signature = fake.attach(KEY, DIGEST)
    raw = base64.b64decode(signature.annotations[SIGNATURE_ANNOTATION])
    body = fake.hashedrekord(fake.spki_pem(KEY), raw, signature.payload)
    promise = LOG.record(body)
    entry = replace(promise.entry, integrated_time=2**62)
    promise = replace(promise, entry=entry, signature=fake.sign(LOG.key, entry.to_signed_bytes()))
    signature = annotate(signature, bundle=promise.to_annotation())
    refuse(signature, trusted_keys(KEY, logs=[LOG]), "log")


# Fulcio


def test_keyless_signature_is_accepted_years_later():
    found = verify(keyless(), trusted_fulcio(), moment=NOW + 2000 * DAY)
    assert found.certificate is not None


@pytest.mark.parametrize("extension", [0, 1])
def test_issuer_in_either_extension_is_accepted(extension):
    values = [(fake.ISSUER_V1, ISSUER.encode()), (fake.ISSUER_V2, fake.utf8_string(ISSUER))]
    verify(keyless(extensions=[values[extension]]), trusted_fulcio())


@pytest.mark.parametrize(
    "extensions",
    [
        [],
        [(fake.ISSUER_V1, ISSUER.encode()), (fake.ISSUER_V2, fake.utf8_string("https://evil"))],
        [(fake.ISSUER_V1, b"https://evil")],
        [(fake.ISSUER_V2, ISSUER.encode())],
        [(fake.ISSUER_V2, fake.utf8_string(ISSUER) + b"\0")],
        [(fake.ISSUER_V2, fake.utf8_string(ISSUER) + fake.utf8_string(ISSUER))],
        [(fake.ISSUER_V2, b"")],
        [(fake.ISSUER_V1, b"\xff")],
        [(fake.ISSUER_V1, ISSUER.encode() + b"\0")],
    ],
    ids=range(9),
)
def test_other_issuer_is_refused(extensions):
    refuse(keyless(extensions=extensions), trusted_fulcio(), "issuer")


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.RFC822Name("ci@example.org.evil.net")],
        [x509.RFC822Name("CI@example.org")],
        [x509.UniformResourceIdentifier("ci@example.org")],
        [x509.DNSName("ci.example.org")],
    ],
    ids=range(5),
)
def test_other_subject_is_refused(names):
    refuse(keyless(names=names), trusted_fulcio(), "subject")


def test_one_of_several_email_addresses_is_accepted():
    names = [x509.RFC822Name("other@example.org"), x509.RFC822Name(EMAIL)]
    verify(keyless(names=names), trusted_fulcio())


@pytest.mark.parametrize("moment", [NOW - 2 * MINUTE, NOW + 11 * MINUTE])
def test_signature_recorded_outside_validity_of_certificate_is_refused(moment):
    refuse(keyless(moment=moment), trusted_fulcio(), "certificate")


def test_expired_intermediate_certificate_is_refused():
    """The certificate itself was valid when the log received the signature."""
    fulcio = fake.FakeFulcio(intermediate_end=NOW - MINUTE)
    refuse(keyless(fulcio=fulcio), trusted_fulcio(fulcio), "certificate")


def test_root_that_is_not_valid_yet_is_refused():
    fulcio = fake.FakeFulcio(start=NOW + DAY)
    refuse(keyless(fulcio=fulcio), trusted_fulcio(fulcio), "certificate")


def test_certificate_of_other_authority_is_refused():
    refuse(keyless(fulcio=fake.FakeFulcio()), trusted_fulcio(), "certificate")


def test_certificate_that_is_its_own_authority_is_refused():
    certificate = fake.issue(
        "signer", KEY.public_key(), "signer", KEY, names=[x509.RFC822Name(EMAIL)]
    )
    signature = fake.attach(
        KEY, DIGEST, certificate=certificate, chain=fake.pem(certificate) * 2, log=LOG
    )
    refuse(signature, trusted_fulcio(), "certificate")


@pytest.mark.parametrize("ca", [None, False])
def test_certificate_issued_by_signing_certificate_is_refused(ca):
    """A signer of Fulcio is not an authority."""
    middle_key = fake.create_key()
    middle = FULCIO.issue(middle_key, ca=ca)
    leaf = fake.issue(
        "leaf", KEY.public_key(), "signer", middle_key, names=[x509.RFC822Name(EMAIL)],
        extensions=[(fake.ISSUER_V1, ISSUER.encode())],
    )  # fmt: skip
    signature = fake.attach(
        KEY, DIGEST, certificate=leaf, chain=fake.pem(middle) + FULCIO.chain_pem, log=LOG
    )
    refuse(signature, trusted_fulcio(), "certificate")


def test_path_length_of_authority_is_respected():
    """The intermediate authority must not create another one."""
    second_key = fake.create_key()
    second = fake.issue("second", second_key.public_key(), "intermediate", FULCIO.key, ca=True)
    leaf = fake.issue(
        "leaf", KEY.public_key(), "second", second_key, names=[x509.RFC822Name(EMAIL)],
        extensions=[(fake.ISSUER_V1, ISSUER.encode())],
    )  # fmt: skip
    signature = fake.attach(
        KEY, DIGEST, certificate=leaf, chain=fake.pem(second) + FULCIO.chain_pem, log=LOG
    )
    refuse(signature, trusted_fulcio(), "certificate")


def test_certificate_for_other_usage_is_refused():
    usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
    refuse(keyless(usages=usages), trusted_fulcio(), "certificate")


def test_certificate_of_other_key_is_refused():
    """The log recorded it, and the certificate is genuine, but its key did not sign."""
    certificate = FULCIO.issue(fake.create_key())
    signature = fake.attach(KEY, DIGEST, certificate=certificate, chain=FULCIO.chain_pem, log=LOG)
    refuse(signature, trusted_fulcio(), "signature")


def test_authority_with_ed25519_key_is_refused():
    """The library that verifies chains supports the algorithms of the web only."""
    private = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    root = (
        x509.CertificateBuilder(name, name, private.public_key(), 1, NOW - DAY, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, None)
    )
    leaf = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 2, NOW - DAY, NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(EMAIL)]), critical=True)
        .sign(private, None)
    )
    signature = fake.attach(KEY, DIGEST, certificate=leaf)
    trust = TrustedPki(Authority((root,)), PkiIdentity(email=EMAIL))
    refuse(signature, trust, "certificate")


def test_endless_certificates_are_refused():
    signature = keyless()
    endless = fake.pem(FULCIO.intermediate).decode() * 10_000
    refuse(annotate(signature, chain=endless), trusted_fulcio(), "certificate")
    one = signature.annotations[CERTIFICATE_ANNOTATION]
    refuse(annotate(signature, certificate=one * 2), trusted_fulcio(), "certificate")


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_malformed_certificates_are_refused(text):
    refuse(annotate(keyless(), certificate=text), trusted_fulcio(), "certificate")
    if text:
        refuse(annotate(keyless(), chain=text), trusted_fulcio(), "certificate")


def test_certificate_alone_is_not_enough():
    signature = keyless()
    less = {
        name: value for name, value in signature.annotations.items() if name != BUNDLE_ANNOTATION
    }
    refuse(replace(signature, annotations=less), trusted_fulcio(), "annotation")


# A private PKI


def test_private_certificate_is_accepted_while_it_is_valid():
    signature = keyless(log=None, names=[x509.DNSName("build.example.org")])
    verify(signature, trusted_pki(hostname="build.example.org"))
    for moment in (NOW - 2 * MINUTE, NOW + 11 * MINUTE):
        refuse(signature, trusted_pki(hostname="build.example.org"), "certificate", moment=moment)


@pytest.mark.parametrize(
    ("name", "host", "matches"),
    [
        ("build.example.org", "BUILD.example.org", True),
        ("*.example.org", "build.example.org", True),
        ("*.example.org", "a.build.example.org", False),
        ("*.example.org", "example.org", False),
        ("b*.example.org", "build.example.org", False),
        ("example.org", "build.example.org", False),
        ("build.example.org", "example.org", False),
        ("*", "localhost", False),
        ("build.example.org", "build.example.org.", True),
        ("build.example.org.", "build.example.org", False),
        ("build.example.org.", "build.example.org.", True),
    ],
)
def test_host_name_matches_as_in_tls(name, host, matches):
    signature = keyless(log=None, names=[x509.DNSName(name)])
    if matches:
        verify(signature, trusted_pki(hostname=host))
    else:
        refuse(signature, trusted_pki(hostname=host), "subject")


def test_host_name_and_email_must_both_match():
    names = [x509.DNSName("build.example.org"), x509.RFC822Name(EMAIL)]
    signature = keyless(log=None, names=names)
    verify(signature, trusted_pki(hostname="build.example.org", email=EMAIL))
    refuse(signature, trusted_pki(hostname="build.example.org", email="x@example.org"), "subject")
    refuse(signature, trusted_pki(hostname="x.example.org", email=EMAIL), "subject")
    refuse(signature, trusted_pki(), "subject")


def test_intermediate_certificates_of_signature_are_used():
    """The last certificate of the chain is the root, which is never taken from a signature."""
    signature = keyless(log=None)
    trust = replace(trusted_pki(email=EMAIL), authority=Authority((FULCIO.root,)))
    verify(signature, trust)
    alone = fake.pem(FULCIO.intermediate).decode()
    refuse(annotate(signature, chain=alone), trust, "certificate")


def test_root_in_signature_is_not_trusted():
    other = fake.FakeFulcio()
    refuse(keyless(fulcio=other, log=None), trusted_pki(email=EMAIL), "certificate")


def test_issuer_must_not_be_empty():
    certificate = FULCIO.issue(KEY, issuer="")
    with pytest.raises(SigstoreSignatureError):
        certificates.check_issuer(certificate, "")
