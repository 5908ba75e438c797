"""Required Notation signatures: what is exported, and what the inventory and the report state."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.copy.signature_requirements import NotationSignature
from bundler.errors import ConfigError, MissingSignatureError
from tests.bundle.exporting.resolving.test_required_signatures import AMD64, REFERENCE, Site
from tests.fakes import images, notation as fake
from tests.fakes.notation import COSE, JWS, ROOT, Signature

SIGNER = fake.create_signer(root=ROOT)
NOW = datetime.now(UTC).replace(microsecond=0)
"""The certificates of the fake are valid then."""
LEGACY = {"config": "application/vnd.cncf.notary.signature"}


class NotationSite(Site):
    def __init__(self, path):
        super().__init__(path)
        self.trust()
        self.required = NotationSignature(path / "trustpolicy.json", path / "truststore")

    def trust(self, *identities, root=ROOT, **verification):
        return fake.write_trust(
            self.path, {"ca:corp": [root.certificate]}, identities or ("*",), **verification
        )

    def sign(self, image, name="notation", form=JWS, **more):
        signature = Signature(SIGNER, image.root, signing_time=NOW, **more)
        self.named[name] = fake.artifact(image, signature.to_envelope(form), form)


@pytest.fixture
def site(tmp_path):
    return NotationSite(tmp_path)


@pytest.mark.parametrize("form", [JWS, COSE])
def test_signature_meets_the_requirement(site, form):
    site.sign(site.image, form=form)
    report = site.export(site.required)
    [image] = report.inventory.images
    [verified] = image.verified
    assert (verified.manifest.text, verified.trust_store) == (site.image.digest, "ca:corp")
    raw = (site.path / "bundle/bundle.json").read_bytes()
    [entry] = json.loads(raw)["images"][0]["verified"]
    assert set(entry) == {"manifest", "key", "identity", "policy", "trustStore"}
    assert "CN=builder" in entry["identity"]
    assert parse_inventory(raw).images[0].verified == (verified,)
    assert report.to_json()["verified"] == [{"reference": REFERENCE} | entry]
    assert "CN=builder" in str(verified)
    assert "ca:corp" in str(verified)


def test_signature_in_the_form_before_oci_1_1_is_found(site):
    signature = Signature(SIGNER, site.image.root, signing_time=NOW)
    site.named["notation"] = fake.legacy_artifact(site.image, signature.to_jws())
    assert site.export(site.required).inventory.images[0].verified


def test_artifact_of_another_form_is_no_signature(site):
    envelope = Signature(SIGNER, site.image.root, signing_time=NOW).to_jws()
    made = fake.legacy_artifact(site.image, envelope, artifactType=fake.ARTIFACT)
    site.named["notation"] = made
    [reason] = site.refuses(site.required).reasons
    assert made.digest in reason.message


@pytest.mark.parametrize("cheat", ["unsigned", "index", "other key", "identity", "expired", "two"])
def test_other_content_does_not_meet_the_requirement(site, cheat):
    match cheat:
        case "index":
            site.sign(site.image, payload=fake.describe(site.image.children[0].root))
        case "other key":
            site.sign(site.image, false=True)
        case "identity":
            site.trust("x509.subject: C=US, ST=WA, O=Other")
            site.sign(site.image)
        case "expired":
            site.sign(site.image)
            past = NOW - timedelta(days=1)
            old = Signature(SIGNER, site.image.root, signing_time=past, expiry=NOW).to_jws()
            site.named["notation"] = fake.artifact(site.image, old)
        case "two":
            signature = Signature(SIGNER, site.image.root, signing_time=NOW).to_jws()
            blobs = [images.Blob(JWS, signature)] * 2
            site.named["notation"] = fake.artifact_of_blobs(site.image, *blobs)
    error = site.refuses(site.required)
    assert error.exit_status == 4
    assert "\n" not in error.message


def test_valid_signature_counts_beside_others(site):
    site.sign(site.image, "false", false=True)
    site.named["garbage"] = fake.artifact(site.image, b"{]")
    site.sign(site.image, "valid")
    assert site.export(site.required).inventory.images[0].verified


def test_number_of_signatures_is_limited(site):
    site.refer("first", fake.artifact(site.image, b"{}"))
    for number in range(100):
        site.refer(f"garbage-{number}", fake.artifact(site.image, b"%d" % number))
    error = site.refuses(site.required)
    assert len(error.reasons) <= 66
    assert any("too many" in reason.message for reason in error.reasons)


def test_signatures_of_all_images_stand_for_their_index(site):
    first, second = site.image.children
    site.sign(first, "first")
    site.refuses(site.required)
    site.sign(second, "second")
    [image] = site.export(site.required).inventory.images
    assert {item.manifest.text for item in image.verified} == {first.digest, second.digest}
    assert site.export(site.required, selection=AMD64).inventory.images[0].verified


def test_signed_index_covers_the_selected_platform(site):
    site.sign(site.image)
    [image] = site.export(site.required, selection=AMD64).inventory.images
    assert image.verified[0].manifest.text == site.image.digest


@pytest.mark.parametrize(
    ("scope", "level", "accepted"),
    [
        ("registry.corp/team/app", "strict", True),
        ("registry.corp/team/other", "strict", False),
        ("registry.corp/team/app", "skip", False),
    ],
)
def test_statement_for_the_repository_decides(site, scope, level, accepted):
    site.sign(site.image)
    policy = site.trust()
    [statement] = policy["trustPolicies"]
    statement |= {"registryScopes": [scope], "signatureVerification": {"level": level}}
    if level == "skip":
        statement |= {"trustStores": [], "trustedIdentities": []}
    (site.path / "trustpolicy.json").write_text(json.dumps(policy))
    if accepted:
        assert site.export(site.required).inventory.images[0].verified
    else:
        reasons = site.refuses(site.required).reasons
        assert {"registry.corp/team/app" in reason.message for reason in reasons} == {True}
        assert site.export(site.required, on_missing="warn").inventory.images[0].verified == ()


@pytest.mark.parametrize("damage", ["policy", "store", "certificate"])
@pytest.mark.parametrize("on_missing", ["fail", "warn"])
def test_invalid_configuration_is_never_a_warning(site, damage, on_missing):
    """It is an error even if the image has no signature."""
    match damage:
        case "policy":
            (site.path / "trustpolicy.json").write_text("{}")
        case "store":
            site.required = replace(site.required, trust_store=site.path)
        case "certificate":
            (site.path / "truststore/x509/ca/corp/0.crt").write_text("no certificate")
    with pytest.raises(ConfigError):
        site.export(site.required, on_missing=on_missing)


def test_requirement_of_another_kind_is_checked_too(site):
    site.sign(site.image)
    with pytest.raises(MissingSignatureError) as raised:
        site.export(site.required, site.key())
    assert len(raised.value.requirements) == 1
