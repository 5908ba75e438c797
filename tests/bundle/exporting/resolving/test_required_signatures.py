"""Required signatures of images: what meets a requirement of a bundle manifest, and what not."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.copy.signature_requirements import IdentitySignature, KeySignature, PolicySignature
from bundler.errors import ConfigError, MissingSignatureError
from bundler.events import WarningIssued
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from bundler.trust.sigstore import bundle as sigstore_bundles, keys
from bundler.trust.sigstore.dsse import IN_TOTO, Statement, sign_envelope
from bundler.trust.sigstore.verify_bundle import COSIGN_SIGNATURE
from tests.fakes import images, sigstore as fake
from tests.fakes.sigstore import EMAIL, ISSUER

KEY = keys.generate_signing_key()
OTHER = keys.generate_signing_key()
REFERENCE = "registry.corp/team/app:1"
AMD64 = PlatformSelection((Platform.parse("linux/amd64"),))


def key_bundle(image, key=KEY, kind=COSIGN_SIGNATURE, about=None):
    digest = (about or image).digest.removeprefix("sha256:")
    content = Statement(kind, ({"sha256": digest},)).to_bytes()
    envelope = sign_envelope(key, IN_TOTO, content)
    return artifact(image, sigstore_bundles.create_key_bundle(key.public, envelope))


def artifact(image, content):
    kind = sigstore_bundles.MEDIA_TYPE
    return images.artifact(kind, content, media_type=kind, subject=image)


class Site:
    def __init__(self, path):
        self.path = path
        self.image = images.multi_platform("multi", "linux/amd64", "linux/arm64")
        self.named = {"app": self.image}
        self.events = []
        for name, key in (("site", KEY), ("other", OTHER)):
            (path / f"{name}.pub").write_bytes(key.public.to_pem())
        home = path / "home"
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)
        self.options = OpenOptions(lambda: Settings.load({}, home, 1000, paths))

    def key(self, *names):
        return KeySignature(tuple(self.path / f"{name}.pub" for name in names or ("site",)))

    def attach(self, image, key=KEY, **more):
        tag, signed = images.cosign_signature(image, sign=key.sign, **more)
        self.named[tag] = signed

    def refer(self, name, referrer):
        self.named[name] = referrer

    def export(self, *verify, selection=None, **more):
        shutil.rmtree(self.path / "layout", ignore_errors=True)
        images.write_layout(self.path / "layout", self.named)
        request = ImageRequest(
            transports.parse(f"oci:{self.path / 'layout'}:app"),
            ImageReference.parse(REFERENCE),
            selection=selection or PlatformSelection(index="all"),
            verify=verify,
            **more,
        )
        bundle = exporting.ExportRequest(
            [request], self.options, self.path / "bundle", "plant-7", "oci"
        )
        with ThreadPoolExecutor(4) as executor:
            engine = EngineOptions(executor, emit=self.events.append)
            return exporting.export(bundle, engine)

    def refuses(self, *verify, **more):
        with pytest.raises(MissingSignatureError) as raised:
            self.export(*verify, **more)
        assert not (self.path / "bundle/bundle.json").exists()
        return raised.value


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_attachment_by_the_key_meets_the_requirement(site):
    site.attach(site.image)
    [image] = site.export(site.key()).inventory.images
    [verified] = image.verified
    assert (verified.manifest.text, verified.key) == (site.image.digest, KEY.public.id)
    document = json.loads((site.path / "bundle/bundle.json").read_bytes())
    assert document["_type"] == "airbundle/bundle/v1"
    assert document["images"][0]["verified"] == [
        {"manifest": site.image.digest, "key": KEY.public.id}
    ]
    assert not site.export(site.key()).changed


def test_bundle_by_the_key_meets_the_requirement(site):
    site.refer("bundle", key_bundle(site.image))
    report = site.export(site.key("other", "site"))
    assert report.inventory.images[0].verified[0].key == KEY.public.id
    assert report.to_json()["verified"][0]["key"] == KEY.public.id


def test_all_requirements_must_be_met(site):
    site.attach(site.image)
    error = site.refuses(site.key(), site.key("other"))
    assert [requirement for requirement in error.requirements if "other.pub" in requirement]
    site.refer("bundle", key_bundle(site.image, OTHER))
    [image] = site.export(site.key(), site.key("other")).inventory.images
    assert {item.key for item in image.verified} == {KEY.public.id, OTHER.public.id}


def test_unsigned_image_is_refused(site):
    error = site.refuses(site.key())
    assert error.exit_status == 4
    assert "no signature" in error.message
    assert str(site.path / "site.pub") in error.message


def test_warning_permits_the_export_and_the_report_states_it(site):
    report = site.export(site.key(), on_missing="warn")
    assert report.inventory.images[0].verified == ()
    [warning] = [event for event in site.events if isinstance(event, WarningIssued)]
    assert "no signature" in warning.text
    [entry] = report.to_json()["unverified"]
    assert entry["reference"] == REFERENCE


def test_valid_signature_counts_beside_hostile_ones(site):
    site.attach(site.image)
    site.refer("garbage", artifact(site.image, b"not JSON"))
    site.refer("another", key_bundle(site.image, OTHER))
    assert site.export(site.key()).inventory.images[0].verified


@pytest.mark.parametrize(
    "cheat",
    ["other key", "other digest", "false signature", "attestation", "garbage", "empty", "two"],
)
def test_other_content_does_not_meet_the_requirement(site, cheat):
    other = images.image(images.layer({"other": b"other"}))
    match cheat:
        case "other key":
            site.attach(site.image, OTHER)
            site.refer("bundle", key_bundle(site.image, OTHER))
        case "other digest":
            tag, _ = images.cosign_signature(site.image)
            site.named[tag] = images.cosign_signature(other, sign=KEY.sign)[1]
            site.refer("bundle", key_bundle(site.image, about=other))
        case "false signature":
            tag, site.named[tag] = images.cosign_signature(site.image)
        case "attestation":
            site.refer("bundle", key_bundle(site.image, kind="https://spdx.dev/Document"))
        case "garbage":
            site.refer("bundle", artifact(site.image, b"{]"))
        case "empty":
            site.refer("bundle", artifact(site.image, b"{}"))
        case "two":
            tag, _ = images.cosign_signature(site.image)
            site.named[tag] = other
    error = site.refuses(site.key())
    assert "\n" not in error.message


def test_all_images_may_be_signed_in_place_of_their_index(site):
    first, second = site.image.children
    site.attach(first)
    site.refuses(site.key())
    site.attach(second)
    [image] = site.export(site.key()).inventory.images
    assert {item.manifest.text for item in image.verified} == {first.digest, second.digest}


def test_signed_index_covers_the_selected_platform(site):
    site.attach(site.image)
    [image] = site.export(site.key(), selection=AMD64).inventory.images
    assert image.verified[0].manifest.text == site.image.digest


def test_signature_of_another_platform_does_not_count(site):
    site.attach(site.image.children[1])
    site.refuses(site.key(), selection=AMD64)
    site.attach(site.image.children[0])
    assert site.export(site.key(), selection=AMD64).inventory.images[0].verified


def test_identity_is_verified_by_the_trusted_root(site):
    fulcio, log = fake.FakeFulcio(), fake.FakeLog()
    root = site.path / "trusted_root.json"
    root.write_text(json.dumps(fake.create_trusted_root(fulcio, log)))
    raw = site.image.root.data
    content = json.dumps(fake.create_keyless_bundle(raw, fulcio, log)).encode()
    site.refer("bundle", artifact(site.image, content))
    required = IdentitySignature(ISSUER, EMAIL, root)
    [image] = site.export(required).inventory.images
    assert (image.verified[0].issuer, image.verified[0].identity) == (ISSUER, EMAIL)
    for wrong in (
        replace(required, identity="eve@example.org"),
        replace(required, issuer="https://eve.example.org"),
    ):
        with pytest.raises(MissingSignatureError):
            site.export(wrong)
    root.write_text(json.dumps(fake.create_trusted_root(fake.FakeFulcio(), fake.FakeLog())))
    with pytest.raises(MissingSignatureError):
        site.export(required)


def test_policy_must_require_a_signature(site):
    policy = site.path / "policy.json"
    policy.write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    assert "without a signature" in (site.refuses(PolicySignature(policy)).hint or "")
    policy.write_text(json.dumps({"default": [{"type": "reject"}]}))
    assert "with any signature" in (site.refuses(PolicySignature(policy)).hint or "")
    site.attach(site.image, reference="registry.corp/team/app:1")
    requirement = {
        "type": "sigstoreSigned",
        "keyPath": str(site.path / "site.pub"),
        "signedIdentity": {"type": "exactRepository", "dockerRepository": "registry.corp/team/app"},
    }
    policy.write_text(json.dumps({"default": [requirement]}))
    [image] = site.export(PolicySignature(policy)).inventory.images
    assert image.verified[0].policy is not None


@pytest.mark.parametrize("on_missing", ["fail", "warn"])
def test_invalid_key_file_is_never_a_warning(site, on_missing):
    (site.path / "site.pub").write_text("no key")
    site.attach(site.image)
    with pytest.raises(ConfigError):
        site.export(site.key(), on_missing=on_missing)


def test_only_signatures_are_exported(site):
    site.attach(site.image)
    site.refer("sbom", images.artifact("application/spdx+json", b"{}", subject=site.image))
    site.refer("bundle", key_bundle(site.image))
    site.refer(
        "notation",
        images.artifact("application/vnd.cncf.notary.signature", b"x", subject=site.image),
    )
    tag, _ = images.cosign_signature(site.image)
    att = tag.removesuffix(".sig") + ".att"
    site.named[att] = images.image(images.layer({"attestation": b"1"}))
    [image] = site.export(referrers="signatures").inventory.images
    exported = {item.digest.text for item in image.referrers}
    assert exported == {site.named[name].digest for name in (tag, "bundle", "notation")}
    assert set(image.left_behind) == {att, site.named["sbom"].digest}
