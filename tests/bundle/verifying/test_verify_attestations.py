"""Attestations of an image in a layout: which ones count, among false and foreign ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bundler import transports
from bundler.bundle.format.inventory.inventory import Producer
from bundler.bundle.format.signatures import attestation
from bundler.bundle.format.signatures.attestation import ExportStatement, SourceRecord
from bundler.bundle.verifying import verify_attestations as verifying
from bundler.cancel import Cancellation
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.errors import (
    DigestMismatchError,
    NotFoundError,
    TrustFileError,
    UnauthenticatedError,
    UnsupportedError,
)
from bundler.oci.digest import Digest
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from bundler.trust.sigstore.bundle import MEDIA_TYPE
from bundler.trust.trust_files.trust_file import RoleKeys, TrustedKey, TrustFile
from bundler.trust.trust_files.trust_store import TrustStore
from tests.fakes import bundles, images

KEY, SECOND, OTHER = (keys.generate_key() for _ in range(3))
APP = images.multi_platform("app", "linux/amd64", "linux/arm64")
TOOL = images.image(images.layer({"tool": b"tool"}))
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STATEMENT = ExportStatement(
    "registry.corp/app:1",
    Digest(APP.digest),
    SourceRecord("docker", Digest(APP.digest), "docker://registry.corp/app:1"),
    "plant-7",
    41,
    NOW,
    Producer("airbundle", "1"),
)
ABOUT_TOOL = replace(STATEMENT, digest=Digest(TOOL.digest))


def attest(statement=STATEMENT, key=KEY, subject=APP, **members):
    raw = attestation.sign(statement, key)
    return images.artifact(MEDIA_TYPE, raw, media_type=MEDIA_TYPE, subject=subject, **members)


class Site:
    def __init__(self, path):
        self.path = path
        home = path / "home"
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)
        self.options = OpenOptions(lambda: Settings.load({}, home, 1000, paths))

    def verify(self, *referrers, trust=None, name="app", now=NOW):
        named = {"app": APP, "tool": TOOL} | {f"r{n}": item for n, item in enumerate(referrers)}
        if not (self.path / "layout").exists():
            images.write_layout(self.path / "layout", named)
        return verifying.verify_attestations(
            transports.parse(f"oci:{self.path / 'layout'}:{name}"),
            self.options,
            trust or TrustedKeys.create([KEY.public]),
            now,
            Cancellation(),
        )

    def refuse(self, *referrers, **more):
        with pytest.raises(UnauthenticatedError) as raised:
            self.verify(*referrers, **more)
        return raised.value


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def create_trust(tmp_path, *, threshold=1, role="bundle", expires=None, **limits):
    listed = {key.public.id: TrustedKey(key.public, "", **limits) for key in (KEY, SECOND)}
    listed[KEY.public.id] = TrustedKey(KEY.public, "Alice", **limits)
    names = tuple(listed)
    roles = {"trust": RoleKeys(names), role: RoleKeys(names, threshold)}
    content = TrustFile(1, listed, roles, expires)
    return TrustStore(tmp_path / "trust.json", content.to_bytes(), content, read_only=True)


def test_attestation_by_the_key_is_reported(site):
    report = site.verify(attest())
    assert report.digest == Digest(APP.digest)
    (found,) = report.attestations
    assert (found.statement, found.signers) == (STATEMENT, (KEY.public,))
    (listed,) = report.to_json()["attestations"]
    assert listed["bundle"] == {"stream": "plant-7", "serial": 41}
    assert [signer["id"] for signer in listed["signers"]] == [KEY.public.id]


def test_latest_export_is_first(site):
    later = replace(STATEMENT, serial=42, exported=datetime(2026, 12, 2, tzinfo=UTC))
    report = site.verify(attest(), attest(later))
    assert [item.statement.serial for item in report.attestations] == [42, 41]


def test_image_without_attestation_is_refused(site):
    assert site.refuse().signed_by == ()


def test_other_key_is_refused(site):
    site.refuse(attest(key=OTHER))


def test_attestation_of_other_image_does_not_count(site):
    """It refers to the image, but states something about another one."""
    site.refuse(attest(ABOUT_TOOL))


def test_false_attestations_hide_nothing(site):
    junk = [
        attest(ABOUT_TOOL),
        attest(key=OTHER),
        images.artifact(MEDIA_TYPE, b"junk", media_type=MEDIA_TYPE, subject=APP),
        images.artifact(MEDIA_TYPE, b"x" * (4 * 1024 * 1024 + 1), subject=APP),
        images.artifact("application/spdx+json", b"{}", subject=APP),
        images.artifact(MEDIA_TYPE, b"{}", subject=APP, annotations={"a": "b"}),
        images.image(images.layer({"a": b"b"})),
    ]
    report = site.verify(*junk, attest())
    assert len(report.attestations) == 1
    assert len(report.rejected) >= 4


def test_many_candidates_are_not_all_read(site, monkeypatch):
    monkeypatch.setattr(verifying, "MAX_ATTESTATIONS", 2)
    report = site.verify(*(attest(replace(STATEMENT, serial=n)) for n in range(4)))
    assert len(report.attestations) == 2
    assert report.rejected


def test_bundles_of_other_types_are_not_read(site):
    """The type that an annotation states only saves reading: the signed type decides."""
    annotation = "dev.sigstore.bundle.predicateType"
    site.refuse(attest(annotations={annotation: "https://slsa.dev/provenance/v1"}))


def test_type_in_annotation_is_not_trusted(site):
    annotations = {"dev.sigstore.bundle.predicateType": attestation.TYPE}
    raw = b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}'
    false = images.artifact(
        MEDIA_TYPE, raw, media_type=MEDIA_TYPE, subject=APP, annotations=annotations
    )
    site.refuse(false)


def test_threshold_counts_keys_with_the_same_statement(site, tmp_path):
    trust = TrustedKeys.create([KEY.public, SECOND.public], 2)
    other = replace(STATEMENT, serial=42)
    report = site.verify(attest(), attest(), attest(other, SECOND), attest(key=SECOND), trust=trust)
    assert [item.statement.serial for item in report.attestations] == [41]
    assert set(report.attestations[0].signers) == {KEY.public, SECOND.public}


def test_one_key_does_not_reach_threshold(site):
    trust = TrustedKeys.create([KEY.public, SECOND.public], 2)
    site.refuse(attest(), attest(), attest(replace(STATEMENT, serial=42), SECOND), trust=trust)


def test_trust_file_names_the_signer(site, tmp_path):
    report = site.verify(attest(), attest(key=SECOND), trust=create_trust(tmp_path))
    signers = {
        signer["id"]: signer.get("name")
        for item in report.to_json()["attestations"]
        for signer in item["signers"]
    }
    assert signers == {KEY.public.id: "Alice", SECOND.public.id: None}


@pytest.mark.parametrize(
    "limits",
    [
        {"threshold": 2},
        {"role": "receipt"},
        {"streams": ("plant-8",)},
        {"not_after": datetime(2026, 11, 30, tzinfo=UTC)},
        {"not_before": datetime(2026, 12, 2, tzinfo=UTC)},
    ],
)
def test_limits_of_trust_file_apply(site, tmp_path, limits):
    site.refuse(attest(), trust=create_trust(tmp_path, **limits))


def test_expired_trust_file_is_refused(site, tmp_path):
    with pytest.raises(TrustFileError):
        site.verify(attest(), trust=create_trust(tmp_path, expires=NOW))


def test_changed_image_is_refused(site):
    site.verify(attest())
    path = site.path / "layout/blobs/sha256" / APP.digest[7:]
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(DigestMismatchError):
        site.verify()


def test_missing_image_is_not_found(site):
    with pytest.raises(NotFoundError):
        site.verify(name="none")


def test_transport_without_referrers_is_unsupported(site, tmp_path):
    bundles.write_tree(tmp_path / "tree", {"app": APP})
    reference = transports.parse(f"dir:{tmp_path}/tree/images/{APP.digest[7:]}")
    with pytest.raises(UnsupportedError):
        verifying.verify_attestations(
            reference, site.options, TrustedKeys.create([KEY.public]), NOW, Cancellation()
        )
