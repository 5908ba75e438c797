"""Sigstore bundles by a key and by an identity: what is accepted, and every way to cheat."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.trust.sigstore import bundle as bundles, keys
from bundler.trust.sigstore.bundle import parse_bundle
from bundler.trust.sigstore.certificates import OidcIdentity
from bundler.trust.sigstore.dsse import IN_TOTO, Statement, encode_pae, sign_envelope
from bundler.trust.sigstore.logs.inclusion import compute_root, verify_inclusion
from bundler.trust.sigstore.trusted_root import (
    Period,
    TrustedAuthority,
    TrustedLog,
    TrustedRoot,
)
from bundler.trust.sigstore.verify_bundle import (
    COSIGN_SIGNATURE,
    verify_by_identity,
    verify_by_key,
)
from tests.fakes import sigstore as fake
from tests.fakes.sigstore import DAY, EMAIL, ISSUER, MINUTE, NOW

ARTIFACT = b'{"schemaVersion":2}'
DIGEST = Digest.of(ARTIFACT)
KEY = keys.generate_signing_key()
FULCIO = fake.FakeFulcio()
LOG = fake.FakeLog()
IDENTITY = OidcIdentity(ISSUER, EMAIL)
SBOM = "https://spdx.dev/Document"


def trusted_log(log=LOG, period=Period()):  # noqa: B008 - immutable
    return TrustedLog(
        keys.accept_public_key(log.key.public_key(), "log"),
        (bytes.fromhex(log.id),),
        log.name,
        period,
    )


def trusted_root(log=LOG, fulcio=FULCIO, period=Period()):  # noqa: B008 - immutable
    chain = (fulcio.intermediate, fulcio.root)
    return TrustedRoot((trusted_log(log),), (), (TrustedAuthority(chain, period),))


def statement(digest=DIGEST, kind=COSIGN_SIGNATURE, algorithm=None) -> bytes:
    subject = {algorithm or digest.algorithm: digest.hex}
    return Statement(kind, (subject,)).to_bytes()


def envelope_of(payload=None, *, key=KEY, payload_type=IN_TOTO):
    return sign_envelope(key, payload_type, statement() if payload is None else payload)


def key_bundle(envelope=None) -> dict:
    return json.loads(bundles.create_key_bundle(KEY.public, envelope or envelope_of()))


def keyless_bundle(*, envelope=False, log=LOG, **options) -> dict:
    signed = statement() if envelope else None
    return fake.create_keyless_bundle(ARTIFACT, FULCIO, log, statement=signed, **options)


def parse(document) -> bundles.Bundle:
    return parse_bundle(json.dumps(document).encode())


def check_key(document, *, artifact=ARTIFACT, trusted=None, **options):
    return verify_by_key(parse(document), artifact, trusted or [KEY.public], **options)


def check_identity(document, *, artifact=ARTIFACT, root=None, identity=IDENTITY, **options):
    return verify_by_identity(
        parse(document), artifact, identity, root or trusted_root(), **options
    )


def refuse(problem, check, document, **options):
    with pytest.raises(SigstoreSignatureError) as caught:
        check(document, **options)
    assert caught.value.problem == problem, caught.value.message
    assert "\n" not in caught.value.message


# By a key


def test_statement_by_trusted_key_is_accepted():
    found = check_key(key_bundle(), trusted=[keys.generate_signing_key().public, KEY.public])
    assert found.key == KEY.public
    assert found.statement.predicate_type == COSIGN_SIGNATURE


def test_artifact_signed_by_trusted_key_is_accepted():
    document = json.loads(bundles.sign_artifact(KEY, ARTIFACT))
    assert check_key(document).statement is None
    refuse("signature", check_key, document, artifact=b"other")


def test_stated_message_digest_is_never_used():
    document = json.loads(bundles.sign_artifact(KEY, ARTIFACT))
    other = base64.b64encode(bytes(32)).decode()
    for digest in ({}, {"algorithm": "SHA2_256", "digest": other}, {"algorithm": "NONE"}):
        document["messageSignature"]["messageDigest"] = digest
        check_key(document)
        refuse("signature", check_key, document, artifact=bytes(32))


def test_hint_does_not_select_key():
    other = keys.generate_signing_key()
    document = key_bundle()
    document["verificationMaterial"]["publicKey"]["hint"] = other.public.id
    check_key(document, trusted=[other.public, KEY.public])
    refuse("signature", check_key, document, trusted=[other.public])


def test_no_trusted_key_accepts_nothing():
    with pytest.raises(SigstoreSignatureError):
        verify_by_key(parse(key_bundle()), ARTIFACT, [])


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
def test_bundle_by_key_of_every_algorithm_is_accepted(private):
    key = keys.accept_private_key(private, "key")
    document = json.loads(bundles.sign_artifact(key, ARTIFACT))
    check_key(document, trusted=[key.public])
    # Old programs use SHA-256 for every curve.
    document["messageSignature"]["signature"] = base64.b64encode(key.sign(ARTIFACT)).decode()
    check_key(document, trusted=[key.public])
    refuse("signature", check_key, document, trusted=[key.public], artifact=b"other")


def test_payload_type_is_signed():
    document = key_bundle()
    document["dsseEnvelope"]["payloadType"] = "text/plain"
    refuse("signature", check_key, document)


@pytest.mark.parametrize("payload_type", ["text/plain", "application/json"])
def test_signed_payload_of_other_type_is_refused(payload_type):
    refuse("payload", check_key, key_bundle(envelope_of(payload_type=payload_type)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        statement().replace(b"Statement/v1", b"Statement/v9"),
        statement().replace(b'"subject":[', b'"subject":[],"more":['),
        b'{"_type":"https://in-toto.io/Statement/v1",' + statement()[1:],
        statement() + b" x",
        json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "predicateType": COSIGN_SIGNATURE,
                "subject": [{"digest": {"sha256": DIGEST.hex}}] * 2000,
            }
        ).encode(),
        json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "predicateType": COSIGN_SIGNATURE,
                "subject": [{"digest": {"sha256": [DIGEST.hex]}}],
            }
        ).encode(),
    ],
    ids=range(10),
)
def test_correctly_signed_payload_that_is_no_statement_is_refused(payload):
    refuse("payload", check_key, key_bundle(envelope_of(payload)))


def test_statement_about_other_artifact_is_refused():
    refuse("digest", check_key, key_bundle(), artifact=b"other")
    truncated = Digest.of(b"other")
    payload = statement(truncated)
    refuse("digest", check_key, key_bundle(envelope_of(payload)))
    payload = statement(DIGEST, algorithm="sha1")
    refuse("digest", check_key, key_bundle(envelope_of(payload)))


def test_statement_by_sha512_is_compared():
    payload = statement(Digest.of(ARTIFACT, "sha512"))
    check_key(key_bundle(envelope_of(payload)))


def test_statement_of_other_type_is_refused():
    """An SBOM is not a signature, and a signature is not an SBOM."""
    sbom = key_bundle(envelope_of(statement(kind=SBOM)))
    refuse("payload", check_key, sbom)
    check_key(sbom, predicate_type=SBOM)
    refuse("payload", check_key, key_bundle(), predicate_type=SBOM)
    signed = json.loads(bundles.sign_artifact(KEY, ARTIFACT))
    refuse("payload", check_key, signed, predicate_type=SBOM)


def test_image_signature_payload_is_not_a_bundle_signature():
    """The same key signs both kinds; one must not be taken for the other."""
    signature = KEY.sign(statement())
    document = key_bundle(replace(envelope_of(), signature=signature))
    refuse("signature", check_key, document)


def test_pae_is_that_of_the_specification():
    assert encode_pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_log_entry_is_required_where_logs_are_trusted():
    document = key_bundle()
    refuse("log", check_key, document, root=trusted_root())
    envelope = parse(document).envelope
    body = fake.dsse_entry(KEY.public.to_pem(), envelope)
    material = document["verificationMaterial"]
    material["tlogEntries"] = [fake.create_entry(LOG, body, "dsse/0.0.1")]
    assert check_key(document, root=trusted_root()).times == (NOW,)
    body = fake.dsse_entry(keys.generate_signing_key().public.to_pem(), envelope)
    material["tlogEntries"] = [fake.create_entry(LOG, body, "dsse/0.0.1")]
    refuse("log", check_key, document, root=trusted_root())


def test_bundle_by_certificate_is_not_one_by_key():
    refuse("signature", check_key, keyless_bundle())
    refuse("certificate", check_identity, key_bundle())


# The document


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(mediaType="application/json"),
        lambda document: document.update(mediaType=bundles.MEDIA_TYPE.replace("0.3", "0.4")),
        lambda document: document.pop("mediaType"),
        lambda document: document.pop("dsseEnvelope"),
        lambda document: document.update(messageSignature={"signature": "AAAA"}),
        lambda document: document.update(other={}),
        lambda document: document.update(verificationMaterial={}),
        lambda document: document["verificationMaterial"].update(certificate={"rawBytes": "AA=="}),
        lambda document: document["verificationMaterial"].update(other=1),
        lambda document: document["dsseEnvelope"].update(signatures=[]),
        lambda document: document["dsseEnvelope"].update(
            signatures=document["dsseEnvelope"]["signatures"] * 2
        ),
        lambda document: document["dsseEnvelope"]["signatures"][0].update(sig=""),
        lambda document: document["dsseEnvelope"].update(payload="!"),
        lambda document: document["verificationMaterial"].update(tlogEntries=[{}]),
        lambda document: document["verificationMaterial"].update(tlogEntries=[{}] * 100_000),
        lambda document: document["verificationMaterial"].update(
            timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": ""}] * 1000}
        ),
        lambda document: document["verificationMaterial"].pop("publicKey"),
    ],
    ids=range(17),
)
def test_malformed_bundle_is_refused(change):
    document = key_bundle()
    change(document)
    refuse("format", check_key, document)


@pytest.mark.parametrize(
    "raw", [b"", b"x", b"[]", b"{" * 100_000, b'{"mediaType":"a","mediaType":"b"}', b"\xff"]
)
def test_document_that_is_not_strict_json_is_refused(raw):
    with pytest.raises(SigstoreSignatureError) as caught:
        parse_bundle(raw)
    assert caught.value.problem == "format"


def test_chain_of_certificates_is_refused_in_version_3():
    document = keyless_bundle()
    material = document["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    refuse("format", check_identity, document)
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    check_identity(document)
    material["x509CertificateChain"]["certificates"] *= 1000
    refuse("format", check_identity, document)


@pytest.mark.parametrize(("version", "needed"), [("0.1", "Promise"), ("0.2", "Proof")])
def test_version_requires_promise_or_proof(version, needed):
    document = keyless_bundle()
    material = document["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    document["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    del material["tlogEntries"][0][f"inclusion{needed}"]
    refuse("format", check_identity, document)


# By an identity


@pytest.mark.parametrize("envelope", [False, True])
def test_bundle_by_expected_identity_is_accepted(envelope):
    found = check_identity(keyless_bundle(envelope=envelope))
    assert (found.statement is not None) == envelope
    assert found.times == (NOW,)


def test_workflow_is_an_identity():
    uri = "https://github.com/org/app/.github/workflows/release.yml@refs/heads/main"
    document = keyless_bundle(names=[x509.UniformResourceIdentifier(uri)])
    check_identity(document, identity=OidcIdentity(ISSUER, uri))
    refuse("subject", check_identity, document, identity=OidcIdentity(ISSUER, uri[:-1]))
    refuse("subject", check_identity, document)


def test_other_identity_is_refused():
    document = keyless_bundle()
    for identity, problem in (
        (OidcIdentity("https://evil", EMAIL), "issuer"),
        (OidcIdentity(ISSUER, "other@example.org"), "subject"),
        (OidcIdentity(ISSUER, ""), "subject"),
        (OidcIdentity("", EMAIL), "issuer"),
    ):
        refuse(problem, check_identity, document, identity=identity)


def test_other_artifact_is_refused():
    refuse("log", check_identity, keyless_bundle(), artifact=b"other")
    refuse("digest", check_identity, keyless_bundle(envelope=True), artifact=b"other")


def test_entry_of_other_bundle_is_refused():
    for envelope in (False, True):
        document, other = keyless_bundle(envelope=envelope), keyless_bundle(envelope=envelope)
        document["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"][
            "tlogEntries"
        ]
        refuse("log", check_identity, document)


def test_entry_that_is_repeated_is_refused():
    document = keyless_bundle()
    document["verificationMaterial"]["tlogEntries"] *= 2
    refuse("format", check_identity, document)


def test_entry_of_other_log_is_refused():
    refuse("log", check_identity, keyless_bundle(log=fake.FakeLog()))


def test_entry_whose_kind_is_stated_wrongly_is_refused():
    document = keyless_bundle()
    document["verificationMaterial"]["tlogEntries"][0]["kindVersion"]["kind"] = "dsse"
    refuse("log", check_identity, document)


def test_promise_without_proof_or_proof_without_promise():
    document = keyless_bundle()
    entry = document["verificationMaterial"]["tlogEntries"][0]
    promise = entry.pop("inclusionPromise")
    refuse("timestamp", check_identity, document)  # the time is not signed
    entry["inclusionPromise"] = promise | {"signedEntryTimestamp": "AAAA"}
    refuse("log", check_identity, document)


@pytest.mark.parametrize("moment", [NOW - 2 * MINUTE, NOW + 11 * MINUTE])
def test_signature_outside_validity_of_certificate_is_refused(moment):
    refuse("certificate", check_identity, keyless_bundle(moment=moment))


def test_authority_is_trusted_for_its_period_only():
    early = Period(None, NOW - DAY)
    late = Period(NOW + DAY, None)
    for period in (early, late):
        root = trusted_root(period=period)
        refuse("certificate", check_identity, keyless_bundle(), root=root)
    check_identity(keyless_bundle(), root=trusted_root(period=Period(NOW, NOW)))


def test_log_is_trusted_for_its_period_only():
    for period in (Period(None, NOW - DAY), Period(NOW + DAY, None)):
        root = replace(trusted_root(), logs=(trusted_log(period=period),))
        refuse("log", check_identity, keyless_bundle(), root=root)


def test_expired_intermediate_authority_is_refused():
    fulcio = fake.FakeFulcio(intermediate_end=NOW - MINUTE)
    private = fake.create_key()
    document = keyless_bundle(private=private)
    certificate = fulcio.issue(private)
    signature = fake.sign(private, ARTIFACT)
    document["verificationMaterial"] = {
        "certificate": {"rawBytes": base64.b64encode(fake.der(certificate)).decode()},
        "tlogEntries": [
            fake.create_entry(LOG, fake.hashedrekord(fake.pem(certificate), signature, ARTIFACT))
        ],
    }
    document["messageSignature"]["signature"] = base64.b64encode(signature).decode()
    refuse("certificate", check_identity, document, root=trusted_root(fulcio=fulcio))


def test_certificate_of_other_key_is_refused():
    """The log recorded the signature with a certificate whose key did not make it."""
    document = keyless_bundle()
    private = fake.create_key()
    signature = fake.sign(private, ARTIFACT)
    certificate = base64.b64decode(document["verificationMaterial"]["certificate"]["rawBytes"])
    pem = fake.pem(x509.load_der_x509_certificate(certificate))
    document["messageSignature"]["signature"] = base64.b64encode(signature).decode()
    document["verificationMaterial"]["tlogEntries"] = [
        fake.create_entry(LOG, fake.hashedrekord(pem, signature, ARTIFACT))
    ]
    refuse("signature", check_identity, document)


@pytest.mark.parametrize("member", ["logIndex", "integratedTime", "canonicalizedBody"])
def test_every_member_of_entry_is_covered(member):
    document = keyless_bundle()
    entry = document["verificationMaterial"]["tlogEntries"][0]
    entry[member] = "12" if member != "canonicalizedBody" else "AAAA"
    refuse("log", check_identity, document)


@pytest.mark.parametrize("member", ["logIndex", "treeSize", "rootHash", "hashes", "checkpoint"])
def test_every_member_of_proof_is_checked(member):
    for body in range(3):
        LOG.record(b"%d" % body)
    document = keyless_bundle()
    proof = document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    other = base64.b64encode(bytes(32)).decode()
    changes = {
        "logIndex": "0",
        "treeSize": str(int(proof["treeSize"]) + 1),
        "rootHash": other,
        "hashes": [*proof["hashes"], other],
        "checkpoint": {"envelope": proof["checkpoint"]["envelope"].replace(" - 1", " - 2")},
    }
    proof[member] = changes[member]
    refuse("log", check_identity, document)


# Proofs of inclusion


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 33])
def test_path_of_every_entry_leads_to_root(size):
    log = fake.FakeLog()
    for number in range(size):
        log.record(b"entry %d" % number)
    key = trusted_log(log).key
    for index in range(size):
        proof = log.prove(index)
        verify_inclusion(proof, log.bodies[index], key, None)
        for wrong in (
            replace(proof, log_index=(index + 1) % size) if size > 1 else None,
            replace(proof, hashes=(*proof.hashes, bytes(32))),
            replace(proof, hashes=proof.hashes[:-1]) if proof.hashes else None,
            replace(proof, tree_size=size + 1),
            replace(proof, log_index=-1),
        ):
            if wrong is not None:
                with pytest.raises(SigstoreSignatureError):
                    verify_inclusion(wrong, log.bodies[index], key, None)
        with pytest.raises(SigstoreSignatureError):
            verify_inclusion(proof, b"other", key, None)


def test_endless_path_is_refused():
    assert compute_root(0, 2**62, bytes(32), [bytes(32)] * 64) is None
    assert compute_root(0, 2, bytes(32), [bytes(31)]) is None
    assert compute_root(5, 5, bytes(32), []) is None


@pytest.mark.parametrize(
    "alter",
    [
        lambda note, log: "",
        lambda note, log: note.replace("\n\n", "\n"),
        lambda note, log: note.replace("rekor.example.org - 1", "other - 1"),
        lambda note, log: note.replace("\u2014 rekor", "- rekor"),
        lambda note, log: note.partition("\n\n")[0] + "\n\n",
        lambda note, log: fake.FakeLog().sign_note(note.partition("\n\n")[0] + "\n"),
        lambda note, log: log.sign_note("rekor.example.org - 1\n9\n" + "A" * 43 + "=\n"),
        lambda note, log: log.sign_note("rekor.example.org - 1\n1\n"),
        lambda note, log: log.sign_note("rekor.example.org - 1\nx\nAAAA\n"),
        lambda note, log: log.sign_note("rekor.example.org - 1\n\u0661\nAAAA\n"),
        lambda note, log: note + "x" * 100_000,
        lambda note, log: note[:-1],
        lambda note, log: note + "x\n",
        lambda note, log: note + note.partition("\n\n")[2] * 100,
    ],
    ids=range(14),
)
def test_altered_checkpoint_is_refused(alter):
    log = fake.FakeLog()
    log.record(b"entry")
    proof = log.prove(0)
    wrong = replace(proof, checkpoint=alter(proof.checkpoint, log))
    with pytest.raises(SigstoreSignatureError):
        verify_inclusion(wrong, b"entry", trusted_log(log).key, None)


def test_signature_by_other_witness_beside_log_is_ignored():
    log = fake.FakeLog()
    log.record(b"entry")
    proof = log.prove(0)
    note = proof.checkpoint.partition("\n\n")[0] + "\n"
    witness = fake.FakeLog(name="witness.example.org").sign_note(note).partition("\n\n")[2]
    text, _, own = proof.checkpoint.partition("\n\n")
    verify_inclusion(
        replace(proof, checkpoint=f"{text}\n\n{witness}{own}"),
        b"entry",
        trusted_log(log).key,
        None,
    )


def test_origin_of_new_log_is_compared():
    log = fake.FakeLog()
    log.record(b"entry")
    verify_inclusion(log.prove(0), b"entry", trusted_log(log).key, f"{log.name} - 1")
    with pytest.raises(SigstoreSignatureError):
        verify_inclusion(log.prove(0), b"entry", trusted_log(log).key, "other.example.org")
