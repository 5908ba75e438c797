"""An image needs a signature that is valid, by an accepted key, and about its content and name."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.config.policy_json import SignedBy, SigstoreSigned, parse
from bundler.errors import (
    CancelledError,
    ConfigError,
    InvalidSignatureError,
    LimitError,
    MalformedError,
    RejectedByPolicyError,
    SigstoreSignatureError,
)
from bundler.oci.digest import Digest
from bundler.oci.signature import SIGNATURE_ANNOTATION, SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.signature_ports import AcceptedSigner
from bundler.trust.openpgp.sign import GpgSigner
from bundler.trust.policy.requirements import MAX_SIGNATURES, SignatureVerifier, SignedManifest
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.payload import Payload
from bundler.trust.simple_signing.simple_signing import SimplePayload
from tests.fakes import sigstore as fake
from tests.fakes.openpgp import LONG_AGO, GnuPG

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = b'{"schemaVersion":2}'
DIGEST = Digest.of(MANIFEST)
NAME = "r.example/app:1"
REFERENCE = f"docker://{NAME}"


@dataclass
class Site:
    """Keys of a site, and signatures by them."""

    gnupg: GnuPG
    directory: Path
    good: str
    other: str
    sigstore: keys.SigningKey

    def simple(self, name: str = NAME, *, key: str = "", digest: Digest = DIGEST) -> bytes:
        content = SimplePayload(name, digest).to_bytes()
        return self.sign(content, key or self.good)

    def sign(self, content: bytes, key: str) -> bytes:
        return GpgSigner(key, self.gnupg.environment, Cancellation()).sign(content)

    def attach(
        self, name: str = NAME, *, digest: Digest = DIGEST, kind: str = SIGSTORE_PAYLOAD
    ) -> bytes:
        payload = Payload(name, digest).to_bytes()
        signature = base64.b64encode(self.sigstore.sign(payload)).decode()
        return SigstoreSignature(kind, payload, {SIGNATURE_ANNOTATION: signature}).to_bytes()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    home, directory = GnuPG(), tmp_path_factory.mktemp("site")
    good, other = (home.generate(f"{name} <{name}@example.com>") for name in ("good", "other"))
    for name, key in (("good", good), ("other", other)):
        (directory / f"{name}.gpg").write_bytes(home.export(key))
    signer = keys.generate_signing_key()
    (directory / "sigstore.pub").write_bytes(signer.public.to_pem())
    yield Site(home, directory, good, other, signer)
    home.close()


def signed_by(site: Site, *names: str, **members: object) -> SignedBy:
    paths = [str(site.directory / f"{name}.gpg") for name in names or ("good",)]
    item = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": paths} | members
    return parse_requirement(item)


def sigstore_signed(site: Site, **members: object) -> SigstoreSigned:
    item = {"type": "sigstoreSigned", "keyPath": str(site.directory / "sigstore.pub")} | members
    return parse_requirement(item)


def parse_requirement(item):
    (requirement,) = parse(json.dumps({"default": [item]}).encode(), "policy").default
    return requirement


def verify(
    requirement, *signatures: bytes, reference: str = REFERENCE, verifier=None
) -> AcceptedSigner:
    signed = SignedManifest(transports.parse(reference), MANIFEST, lambda: signatures)
    if verifier is not None:
        return verifier.verify(signed, requirement)
    with SignatureVerifier(Cancellation()) as created:
        return created.verify(signed, requirement)


def reject(requirement, *signatures: bytes, reference: str = REFERENCE) -> RejectedByPolicyError:
    with pytest.raises(RejectedByPolicyError) as caught:
        verify(requirement, *signatures, reference=reference)
    assert caught.value.reference == reference
    return caught.value


def test_first_good_signature_is_sufficient(site):
    bad, good = site.simple(key=site.other), site.simple()
    assert verify(signed_by(site), bad, good) == AcceptedSigner(key=site.good)
    assert verify(signed_by(site), good, bad) == AcceptedSigner(key=site.good)
    assert verify(signed_by(site, "other", "good"), bad) == AcceptedSigner(key=site.other)
    inline = base64.b64encode((site.directory / "good.gpg").read_bytes()).decode()
    item = {"type": "signedBy", "keyType": "GPGKeys", "keyData": inline}
    verify(parse_requirement(item), good)


def test_image_without_signature_is_rejected(site):
    error = reject(signed_by(site))
    assert (error.rule, error.reasons) == ("signedBy", ())
    assert "no signature exists" in error.message
    assert reject(signed_by(site), site.attach()).reasons == ()
    error = reject(sigstore_signed(site), site.simple(), site.attach(kind="application/x"))
    assert (error.rule, error.reasons, error.ignored) == ("sigstoreSigned", (), (1, 1))


def test_every_reason_is_reported_in_order(site):
    another = Digest.of(b"another")
    error = reject(
        signed_by(site),
        site.simple(key=site.other),
        site.simple("r.example/app:2"),
        site.simple(digest=another),
        site.simple("r.example/app:2", digest=another),
        site.sign(b"{}", site.good),
    )
    found = [reason.problem for reason in error.reasons]
    assert found == ["signature", "identity", "digest", "digest", "payload"]
    assert error.reasons[1].value == "r.example/app:2"
    assert error.reasons[2].value == another.text
    assert error.message.endswith("; and 1 more")


def test_sigstore_signature_is_checked_for_digest_and_name(site):
    signer = verify(sigstore_signed(site), site.attach())
    assert signer == AcceptedSigner(key=site.sigstore.public.id)
    error = reject(
        sigstore_signed(site),
        site.attach("r.example/app:2"),
        site.attach(digest=Digest.of(b"another")),
    )
    assert [reason.problem for reason in error.reasons] == ["identity", "digest"]
    assert all(isinstance(reason, SigstoreSignatureError) for reason in error.reasons)


def test_image_without_name_needs_a_name_in_the_policy(site):
    identity = {"type": "exactReference", "dockerReference": NAME}
    for create, signature in ((signed_by, site.simple()), (sigstore_signed, site.attach())):
        verify(create(site, signedIdentity=identity), signature, reference="dir:/x")
        error = reject(create(site), signature, reference="dir:/x")
        assert error.reasons[0].problem == "identity"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"x",
        b"\0",
        b"\0other\n{}",
        b"\0sigstore-json\n{}x",
        b"\0sigstore-json\n{",
        b"-----BEGIN",
    ],
)
def test_garbage_rejects_the_image_even_beside_a_good_signature(site, garbage):
    """The signatures are parsed before any of them is verified."""
    for requirement in (signed_by(site), sigstore_signed(site)):
        error = reject(requirement, site.simple(), site.attach(), garbage)
        assert isinstance(error.reasons[0], MalformedError)


def test_truncated_or_altered_signature_is_rejected(site):
    good = site.simple()
    for position in range(0, len(good), 7):
        altered = good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :]
        for damaged in (good[:position], altered):
            reject(signed_by(site), damaged)


def test_number_of_verified_signatures_is_limited(site):
    bad, good = site.attach("r.example/app:2"), site.attach()
    verify(sigstore_signed(site), *[bad] * (MAX_SIGNATURES - 1), good)
    error = reject(sigstore_signed(site), *[bad] * MAX_SIGNATURES, good)
    assert isinstance(error.reasons[-1], LimitError)
    assert len(error.reasons) == MAX_SIGNATURES + 1
    assert len(error.message) < 1000


def test_time_for_all_signatures_is_limited(site, monkeypatch):
    """A verification by gpg may need its whole time limit for each of them."""
    monkeypatch.setattr("bundler.trust.policy.requirements._MAX_TIME", 0.0)
    bad, good = site.attach("r.example/app:2"), site.attach()
    verify(sigstore_signed(site), good, bad)
    error = reject(sigstore_signed(site), bad, bad, good)
    assert isinstance(error.reasons[-1], LimitError)
    assert len(error.reasons) == 2


def test_missing_or_empty_keys_accept_nothing(site, tmp_path):
    empty = tmp_path / "empty.gpg"
    empty.write_bytes(b"")
    error = reject(signed_by(site, keyPaths=[str(empty)]), site.simple())
    assert error.reasons[0].problem == "keys"
    missing = str(tmp_path / "none")
    for requirement, signature in (
        (signed_by(site, keyPaths=[missing]), site.simple()),
        (sigstore_signed(site, keyPath=missing), site.attach()),
        (sigstore_signed(site, keyPath=str(empty)), site.attach()),
    ):
        assert isinstance(reject(requirement, signature).reasons[0], ConfigError)
        assert reject(requirement).reasons == ()  # keys are read only for a signature


@pytest.mark.parametrize("kind", ["signedByGPGKeys", "X509Certificates", "signedByX509CAs"])
def test_other_kinds_of_keys_accept_nothing(site, kind):
    error = reject(signed_by(site, keyType=kind), site.simple())
    assert (error.reasons[0].problem, error.reasons[0].value) == ("unsupported", kind)


def test_keys_are_read_once(site, tmp_path):
    path = tmp_path / "copy.gpg"
    path.write_bytes((site.directory / "good.gpg").read_bytes())
    requirement = signed_by(site, keyPaths=[str(path)])
    with SignatureVerifier(Cancellation()) as verifier:
        verify(requirement, site.simple(), verifier=verifier)
        path.unlink()
        verify(requirement, site.simple(), verifier=verifier)


def test_expected_signatures_are_verified_together(site, tmp_path, monkeypatch):
    script = f'#!/bin/sh\necho "$@" >>{tmp_path}/runs\nexec {shutil.which("gpg")} "$@"\n'
    (tmp_path / "gpg").write_text(script)
    (tmp_path / "gpg").chmod(0o755)
    requirement, second = signed_by(site), f"{NAME}-2"
    first_signature, second_signature = site.simple(), site.simple(second)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with SignatureVerifier(Cancellation()) as verifier:
        verifier.expect(requirement, [first_signature, site.attach(), b"garbage"])
        verifier.expect(requirement, [second_signature])
        verify(requirement, first_signature, verifier=verifier)
        verify(requirement, second_signature, verifier=verifier, reference=f"docker://{second}")
        with pytest.raises(RejectedByPolicyError):
            verify(requirement, second_signature, verifier=verifier)
    assert len((tmp_path / "runs").read_text().splitlines()) == 2  # it also imported the key


def test_cancellation_is_not_a_rejection(site):
    cancellation = Cancellation()
    requirement, signature = signed_by(site), site.simple()
    cancellation.request()
    with SignatureVerifier(cancellation) as verifier, pytest.raises(CancelledError):
        verify(requirement, signature, verifier=verifier)


def test_expired_and_revoked_keys_are_rejected(site):
    content = SimplePayload(NAME, DIGEST).to_bytes()
    expired = site.gnupg.generate("old <old@example.com>", expires="1d", time=LONG_AGO)
    revoked = site.gnupg.generate("revoked <revoked@example.com>")
    for fingerprint, options in ((expired, ("--faked-system-time", LONG_AGO)), (revoked, ())):
        signature = site.gnupg.sign(content, fingerprint, options=options)
        if fingerprint == revoked:
            verify_with(site, fingerprint, signature)
            site.gnupg.revoke(fingerprint)
        with pytest.raises(RejectedByPolicyError) as caught:
            verify_with(site, fingerprint, signature)
        assert isinstance(caught.value.reasons[0], InvalidSignatureError)


def verify_with(site: Site, fingerprint: str, signature: bytes) -> None:
    exported = base64.b64encode(site.gnupg.export(fingerprint)).decode()
    item = {"type": "signedBy", "keyType": "GPGKeys", "keyData": exported}
    verify(parse_requirement(item), signature)


def encode(*items: bytes) -> str:
    return base64.b64encode(b"".join(items)).decode()


def test_signer_with_a_certificate_is_named_by_its_identity():
    """Fulcio certifies a key for one signature, so that only the identity is of use."""
    fulcio, log, key = fake.FakeFulcio(), fake.FakeLog(), fake.create_key()
    certificate = fulcio.issue(key)
    signature = fake.attach(
        key, DIGEST, reference=NAME, certificate=certificate, chain=fulcio.chain_pem, log=log
    ).to_bytes()
    root = encode(fake.pem(fulcio.root))
    keyless = {"caData": root, "oidcIssuer": fake.ISSUER, "subjectEmail": fake.EMAIL}
    requirement = {"fulcio": keyless, "rekorPublicKeyData": encode(fake.spki_pem(log.key))}
    found = verify(parse_requirement({"type": "sigstoreSigned"} | requirement), signature)
    assert found == AcceptedSigner(issuer=fake.ISSUER, identity=fake.EMAIL)
    # An authority of the site may certify a key for long: the key is named, too.
    authority = {"caRootsData": root, "subjectEmail": fake.EMAIL}
    authority["caIntermediatesData"] = encode(fake.pem(fulcio.intermediate))
    lasting = fulcio.issue(key, minutes=10**6)
    signature = fake.attach(key, DIGEST, reference=NAME, certificate=lasting).to_bytes()
    found = verify(parse_requirement({"type": "sigstoreSigned", "pki": authority}), signature)
    key_id = hashlib.sha256(fake.spki_der(key)).hexdigest()
    assert found == AcceptedSigner(key=key_id, identity=fake.EMAIL)
