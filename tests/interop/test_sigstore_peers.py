"""Sigstore signatures of cosign 3 and Skopeo 1.22, and their recorded verdicts on ours.

``record_sigstore_peers`` wrote the files; the programs themselves are not needed.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.config import policy_json
from bundler.errors import SigstoreSignatureError
from bundler.oci import signature as signatures
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.attachment import (
    SigstoreKeys,
    TrustedFulcio,
    verify_attachment,
)
from bundler.trust.sigstore.attachments.policy_trust import load_trust
from bundler.trust.sigstore.bundle import parse_bundle
from bundler.trust.sigstore.certificates import (
    Authority,
    OidcIdentity,
    load_trusted_certificates,
)
from bundler.trust.sigstore.trusted_root import parse_trusted_root
from bundler.trust.sigstore.verify_bundle import (
    COSIGN_SIGNATURE,
    verify_by_identity,
    verify_by_key,
)
from tests.fakes import sigstore as fake

RECORD = json.loads(Path(__file__).with_name("sigstore_peers.json").read_bytes())
VECTORS = Path(__file__).parents[1] / "trust" / "sigstore" / "vectors" / "peers"
MOMENT = datetime(2026, 12, 1, tzinfo=UTC)
JUDGED = [case for case in RECORD["cases"] if "signature" in case]
KEYLESS = [case for case in RECORD["cases"] if "bundle" in case]
SBOM = "https://spdx.dev/Document"


def read_key(path: Path) -> keys.VerificationKey:
    return keys.parse_public_key(path.read_bytes(), str(path))


SITE = read_key(VECTORS / "skopeo-key" / "site.pub")


def verify_directory(name, trust):
    directory = VECTORS / name
    signature = signatures.parse((directory / "signature-1").read_bytes())
    manifest = (directory / "manifest.json").read_bytes()
    return verify_attachment(signature, trust, manifest, MOMENT)


def test_verdicts_were_recorded_for_both_programs():
    commands = {case["command"].split()[0] for case in RECORD["cases"]}
    assert commands == {"cosign", "skopeo"}
    assert {case["accepted"] for case in RECORD["cases"]} == {True, False}


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case["case"])
def test_verdict_equals_that_of_skopeo(case):
    policy = policy_json.parse(json.dumps({"default": [case["requirement"]]}).encode(), "policy")
    (requirement,) = policy.default
    signature = signatures.parse(base64.b64decode(case["signature"]))
    try:
        verify_attachment(signature, load_trust(requirement), case["manifest"].encode(), MOMENT)
    except SigstoreSignatureError:
        accepted = False
    else:
        accepted = True
    assert accepted == case["accepted"]


@pytest.mark.parametrize("case", KEYLESS, ids=lambda case: case["case"])
def test_verdict_on_bundle_equals_that_of_cosign(case):
    root = parse_trusted_root(json.dumps(case["root"]).encode(), Path("root.json"))
    identity = OidcIdentity(fake.ISSUER, fake.EMAIL)
    kind = SBOM if "dsseEnvelope" in case["bundle"] else COSIGN_SIGNATURE
    try:
        bundle = parse_bundle(json.dumps(case["bundle"]).encode())
        verify_by_identity(bundle, case["artifact"].encode(), identity, root, predicate_type=kind)
    except SigstoreSignatureError:
        accepted = False
    else:
        accepted = True
    assert accepted == case["accepted"]


@pytest.mark.parametrize("name", ["skopeo-key", "cosign-attachment"])
def test_signature_of_image_by_other_program_is_accepted(name):
    found = verify_directory(name, SigstoreKeys((SITE,)))
    assert found.payload.reference
    with pytest.raises(SigstoreSignatureError):
        verify_directory(name, SigstoreKeys((keys.generate_signing_key().public,)))


def test_keyless_signature_of_skopeo_is_accepted():
    directory = VECTORS / "skopeo-keyless"
    roots = load_trusted_certificates((directory / "ca.pem").read_bytes(), "ca.pem")
    trust = TrustedFulcio(
        Authority(roots),
        OidcIdentity(fake.ISSUER, fake.EMAIL),
        (read_key(directory / "log.pub"),),
    )
    assert verify_directory("skopeo-keyless", trust).payload.reference


def test_bundle_of_file_by_cosign_is_accepted():
    directory = VECTORS / "cosign-file"
    bundle = parse_bundle((directory / "by-cosign.json").read_bytes())
    artifact = (directory / "file").read_bytes()
    verify_by_key(bundle, artifact, [SITE])
    with pytest.raises(SigstoreSignatureError):
        verify_by_key(bundle, artifact + b"x", [SITE])


def test_bundles_of_image_by_cosign_are_accepted_by_their_type():
    """One signs the image, the other attests an SBOM."""
    directory = VECTORS / "cosign-bundles"
    manifest = (directory / "manifest.json").read_bytes()
    paths = sorted(directory.glob("bundle-*.json"))
    accepted = []
    for path in paths:
        bundle = parse_bundle(path.read_bytes())
        for kind in (COSIGN_SIGNATURE, SBOM):
            try:
                found = verify_by_key(bundle, manifest, [SITE], predicate_type=kind)
            except SigstoreSignatureError:
                continue
            accepted.append(found.statement.predicate_type)
    assert sorted(accepted) == sorted([COSIGN_SIGNATURE, SBOM])


@pytest.mark.parametrize("name", ["skopeo.private", "cosign.private"])
def test_private_key_of_other_program_is_read(name):
    keys.parse_private_key((VECTORS / name).read_bytes(), b"peers", name)
