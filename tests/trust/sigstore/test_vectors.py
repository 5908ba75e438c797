"""Signatures that Skopeo and cosign made are accepted, and altered ones are not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.config import policy_json
from bundler.errors import SigstoreSignatureError
from bundler.oci import signature as signatures
from bundler.trust.sigstore.attachments.attachment import verify_attachment
from bundler.trust.sigstore.attachments.policy_trust import load_trust

VECTORS = Path(__file__).parent / "vectors"
MOMENT = datetime(2026, 11, 30, tzinfo=UTC)
FULCIO = {
    "caPath": "fulcio_v1.crt.pem",
    "oidcIssuer": "https://github.com/login/oauth",
    "subjectEmail": "mitr@redhat.com",
}
PKI = {
    "caRootsPath": "pki_root_crts.pem",
    "caIntermediatesPath": "pki_intermediate_crts.pem",
    "subjectHostname": "myhost.example.com",
}


def trust(**requirement):
    def locate(value):
        if isinstance(value, dict):
            return {
                key: str(VECTORS / item) if key.endswith("Path") else item
                for key, item in value.items()
            }
        return str(VECTORS / value)

    entry = {"type": "sigstoreSigned"} | {key: locate(value) for key, value in requirement.items()}
    policy = policy_json.parse(json.dumps({"default": [entry]}).encode(), "policy.json")
    (parsed,) = policy.default
    return load_trust(parsed)


def verify(name, trusted, change=lambda signature: signature):
    raw = (VECTORS / name / "signature-1").read_bytes()
    manifest = (VECTORS / name / "manifest.json").read_bytes()
    return verify_attachment(change(signatures.parse(raw)), trusted, manifest, MOMENT)


ACCEPTED = [
    ("valid-with-tag", {"keyPath": "cosign.pub"}, "192.168.64.2:5000/skopeo-signed:tag"),
    (
        "key-rekor-valid",
        {"keyPath": "cosign2.pub", "rekorPublicKeyPath": "rekor.pub"},
        "192.168.64.2:5000/cosign-signed/key-1",
    ),
    (
        "fulcio-rekor-valid",
        {"fulcio": FULCIO, "rekorPublicKeyPath": "rekor.pub"},
        "192.168.64.2:5000/cosign-signed/fulcio-rekor-1",
    ),
]


@pytest.mark.parametrize(("name", "requirement", "reference"), ACCEPTED)
def test_signature_of_other_program_is_accepted(name, requirement, reference):
    assert verify(name, trust(**requirement)).payload.reference == reference


def test_signature_with_certificate_of_private_authority_is_accepted():
    found = verify("pki-valid", trust(pki=PKI | {"subjectEmail": "qiwan@redhat.com"}))
    assert found.payload.reference == "localhost:5000/test"


@pytest.mark.parametrize(
    ("name", "requirement", "problem"),
    [
        ("valid-with-tag", {"keyPath": "cosign2.pub"}, "signature"),
        (
            "valid-with-tag",
            {"keyPath": "cosign.pub", "rekorPublicKeyPath": "rekor.pub"},
            "annotation",
        ),
        (
            "key-rekor-valid",
            {"keyPath": "cosign2.pub", "rekorPublicKeyPath": "cosign.pub"},
            "log",
        ),
        ("key-rekor-valid", {"keyPath": "cosign.pub", "rekorPublicKeyPath": "rekor.pub"}, "log"),
        (
            "fulcio-rekor-valid",
            {
                "fulcio": FULCIO | {"oidcIssuer": "https://github.com"},
                "rekorPublicKeyPath": "rekor.pub",
            },
            "issuer",
        ),
        (
            "fulcio-rekor-valid",
            {
                "fulcio": FULCIO | {"subjectEmail": "redhat.com"},
                "rekorPublicKeyPath": "rekor.pub",
            },
            "subject",
        ),
        (
            "fulcio-rekor-valid",
            {
                "fulcio": FULCIO | {"caPath": "pki_root_crts.pem"},
                "rekorPublicKeyPath": "rekor.pub",
            },
            "certificate",
        ),
        ("pki-valid", {"pki": PKI | {"subjectHostname": "other.example.com"}}, "subject"),
        ("pki-valid", {"pki": PKI | {"caRootsPath": "fulcio_v1.crt.pem"}}, "certificate"),
    ],
)
def test_signature_is_refused_by_other_trust(name, requirement, problem):
    with pytest.raises(SigstoreSignatureError) as caught:
        verify(name, trust(**requirement))
    assert caught.value.problem == problem
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("name", "requirement", "reference"), ACCEPTED)
def test_every_missing_annotation_is_refused(name, requirement, reference):
    raw = signatures.parse((VECTORS / name / "signature-1").read_bytes())
    for annotation in raw.annotations:
        less = {key: value for key, value in raw.annotations.items() if key != annotation}
        with pytest.raises(SigstoreSignatureError):
            verify(
                name, trust(**requirement), lambda item, less=less: replace(item, annotations=less)
            )


@pytest.mark.parametrize(("name", "requirement", "reference"), ACCEPTED)
def test_every_altered_byte_of_payload_is_refused(name, requirement, reference):
    trusted = trust(**requirement)
    payload = signatures.parse((VECTORS / name / "signature-1").read_bytes()).payload
    for index in range(len(payload)):
        altered = bytearray(payload)
        altered[index] ^= 1
        with pytest.raises(SigstoreSignatureError):
            verify(
                name,
                trusted,
                lambda item, altered=altered: replace(item, payload=bytes(altered)),
            )
