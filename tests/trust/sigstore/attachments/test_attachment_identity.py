"""Keyless signatures beside an image, verified by a trusted root."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    SIGNATURE_ANNOTATION,
)
from bundler.trust.sigstore.attachments.attachment_identity import verify_attachment_by_identity
from bundler.trust.sigstore.certificates import OidcIdentity
from bundler.trust.sigstore.trusted_root import parse_trusted_root
from tests.fakes import sigstore as fake
from tests.fakes.sigstore import EMAIL, ISSUER, NOW

MANIFEST = b'{"schemaVersion":2}'
DIGEST = Digest.of(MANIFEST)
IDENTITY = OidcIdentity(ISSUER, EMAIL)
FULCIO, LOG = fake.FakeFulcio(), fake.FakeLog()


def trusted_root(tmp_path, fulcio=FULCIO, log=LOG, period=None):
    value = fake.create_trusted_root(fulcio, log)
    if period is not None:
        value["tlogs"][0]["publicKey"]["validFor"] = period
    return parse_trusted_root(json.dumps(value).encode(), tmp_path / "trusted_root.json")


def sign(digest=DIGEST, moment=NOW, **options):
    key = fake.create_key()
    certificate = FULCIO.issue(key, **options)
    return fake.attach(
        key, digest, certificate=certificate, chain=FULCIO.chain_pem, log=LOG, moment=moment
    )


def test_signature_by_the_identity_is_accepted(tmp_path):
    payload = verify_attachment_by_identity(sign(), MANIFEST, IDENTITY, trusted_root(tmp_path))
    assert payload.digest == DIGEST


@pytest.mark.parametrize(
    "signature",
    [
        sign(email="eve@example.org"),
        sign(issuer="https://eve.example.org"),
        sign(Digest.of(b"other")),
        sign(moment=NOW + timedelta(days=1)),
        replace(sign(), media_type="application/vnd.dsse.envelope.v1+json"),
        replace(sign(), payload=sign().payload + b" "),
        replace(sign(), annotations=sign().annotations | {SIGNATURE_ANNOTATION: "AAAA"}),
        replace(sign(), annotations=sign().annotations | {BUNDLE_ANNOTATION: "{}"}),
        replace(
            sign(),
            annotations=sign().annotations
            | {CERTIFICATE_ANNOTATION: sign().annotations[CERTIFICATE_ANNOTATION]},
        ),
        *(
            replace(sign(), annotations={k: v for k, v in sign().annotations.items() if k != name})
            for name in (SIGNATURE_ANNOTATION, BUNDLE_ANNOTATION, CERTIFICATE_ANNOTATION)
        ),
    ],
)
def test_other_signature_is_refused(tmp_path, signature):
    with pytest.raises(SigstoreSignatureError):
        verify_attachment_by_identity(signature, MANIFEST, IDENTITY, trusted_root(tmp_path))


def test_other_log_or_authority_is_refused(tmp_path):
    for root in (
        trusted_root(tmp_path, fulcio=fake.FakeFulcio()),
        trusted_root(tmp_path, log=fake.FakeLog()),
    ):
        with pytest.raises(SigstoreSignatureError):
            verify_attachment_by_identity(sign(), MANIFEST, IDENTITY, root)


def test_log_outside_its_period_is_refused(tmp_path):
    """Unlike the keys in policy.json, those of a trusted root have a period."""
    root = trusted_root(
        tmp_path, period={"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}
    )
    with pytest.raises(SigstoreSignatureError):
        verify_attachment_by_identity(sign(), MANIFEST, IDENTITY, root)
