"""Signature files of images: export, verification and import."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import transports
from bundler.bundle.audit.differences.target import compare_target
from bundler.bundle.audit.differences.target_difference import TargetRequest
from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.listings.list_contents import list_bundle
from bundler.bundle.audit.location import Location
from bundler.bundle.exporting import export as exporting
from bundler.bundle.exporting.resolving import resolve as resolving
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse
from bundler.bundle.importing.target import parse_target
from bundler.bundle.verifying.verify import verify
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import DamagedBundleError, LimitError, MalformedError
from bundler.events import WarningIssued
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles, images
from tests.fakes.policies import AcceptsDigests
from tests.fakes.registry import FakeRegistry

KEY = keys.generate_key()
SIMPLE = b"\x90an OpenPGP message"
SECOND = b"\xa3another OpenPGP message"
SIGSTORE = SigstoreSignature(SIGSTORE_PAYLOAD, b"{}", {"a": "b"}).to_bytes()
FORMATS = ["oci", "dir"]


class Site:
    def __init__(self, path):
        self.path = path
        self.image = images.multi_platform("multi", "linux/amd64", "linux/arm64")
        self.hex = self.image.digest.removeprefix("sha256:")
        self.platforms = [
            item.digest.removeprefix("sha256:") for item in self.image.manifests()[:-1]
        ]
        bundles.write_tree(path, {"multi": self.image})
        self.source = path / "images" / self.hex
        home = path / "home"
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)
        self.events = []
        self.options = OpenOptions(lambda: Settings.load({}, home, 1000, paths))
        self.lookaside = home / ".local/share/containers/sigstore"
        self.bundle = path / "bundle"

    def sign(self, name, content):
        (self.source / name).write_bytes(content)

    def export(self, kind="oci", *, selection=None, references=("registry.corp/app:1",), **more):
        requests = [
            ImageRequest(
                transports.parse(f"dir:{self.source}"),
                ImageReference.parse(reference),
                **{
                    "selection": selection or PlatformSelection(index="all"),
                    "referrers": "all",
                    "signatures": "applicable",
                }
                | more,
            )
            for reference in references
        ]
        request = exporting.ExportRequest(
            requests, self.options, self.bundle, "plant-7", kind, keys=(KEY,)
        )
        with ThreadPoolExecutor(4) as executor:
            return exporting.export(request, EngineOptions(executor, emit=self.events.append))

    def import_(self, target, *, dry_run=False, overrides=None, policy=NO_POLICY):
        options = OpenOptions(self.options.load_settings, overrides=overrides or {})
        request = import_bundle.ImportRequest(
            self.bundle,
            parse_target(target),
            options,
            TrustedKeys.create([KEY.public]),
            policy=policy,
            dry_run=dry_run,
        )
        with ThreadPoolExecutor(4) as executor:
            engine = EngineOptions(executor, read_everything=True, emit=self.events.append)
            return import_bundle.import_bundle(request, engine)

    def verify(self):
        return verify(self.bundle, TrustedKeys.create([KEY.public]))

    def document(self):
        return json.loads((self.bundle / "bundle.json").read_bytes())

    def reseal(self, document):
        document.pop("sums")
        (self.bundle / "bundle.json.sigstore.json").unlink(missing_ok=True)
        bundles.seal(self.bundle, document, (KEY,))

    @property
    def warnings(self):
        return [event.text for event in self.events if isinstance(event, WarningIssued)]


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def find_signatures(site, kind):
    if kind == "dir":
        base = f"images/{site.hex}"
        return f"{base}/signature-", f"{base}/{site.platforms[0]}.signature-"
    base = "signatures/sha256="
    return f"{base}{site.hex}/signature-", f"{base}{site.platforms[0]}/signature-"


@pytest.mark.parametrize("kind", FORMATS)
def test_signatures_travel_to_a_directory(site, kind):
    site.sign("signature-1", SIMPLE)
    site.sign("signature-2", SIGSTORE)
    site.sign(f"{site.platforms[0]}.signature-1", SECOND)
    report = site.export(kind)
    root, platform = find_signatures(site, kind)
    assert (site.bundle / f"{root}1").read_bytes() == SIMPLE
    assert (site.bundle / f"{root}2").read_bytes() == SIGSTORE
    assert (site.bundle / f"{platform}1").read_bytes() == SECOND
    assert site.document()["_type"] == "airbundle/bundle/v2"
    listed = (site.bundle / "SHA256SUMS").read_text()
    assert f"{root}1" in listed
    assert f"{platform}1" in listed
    [image] = report.inventory.images
    assert len(image.signatures) == 3
    site.verify().check()
    [(listed_image, _)] = list_bundle(DirectoryFiles(site.bundle)).images
    assert listed_image.signatures == image.signatures

    for dry_run in (True, False):
        result = site.import_(f"dir:{site.path / 'target'}", dry_run=dry_run)
        assert [item.signatures for item in result.images] == [3]
        assert result.images[0].unstored_signatures == ()
    target = site.path / "target/app/1"
    assert (target / "signature-1").read_bytes() == SIMPLE
    assert (target / "signature-2").read_bytes() == SIGSTORE
    assert (target / f"{site.platforms[0]}.signature-1").read_bytes() == SECOND


@pytest.mark.parametrize("kind", FORMATS)
def test_bundle_without_signature_files_has_version_1(site, kind):
    site.export(kind)
    assert site.document()["_type"] == "airbundle/bundle/v1"
    assert not (site.bundle / "signatures").exists()


def test_signatures_are_not_exported_without_referrers(site):
    site.sign("signature-1", SIMPLE)
    report = site.export(referrers="none", signatures="none")
    assert report.inventory.images[0].signatures == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_renewal_replaces_and_removes_signatures(site, kind):
    site.sign("signature-1", SIMPLE)
    site.sign("signature-2", SECOND)
    site.export(kind)
    assert not site.export(kind).changed
    site.sign("signature-1", SECOND)
    (site.source / "signature-2").unlink()
    assert site.export(kind).changed
    root, _ = find_signatures(site, kind)
    assert (site.bundle / f"{root}1").read_bytes() == SECOND
    assert not (site.bundle / f"{root}2").exists()
    site.verify().check()
    (site.source / "signature-1").unlink()
    site.export(kind)
    assert site.document()["_type"] == "airbundle/bundle/v1"
    assert not (site.bundle / f"{root}1").exists()
    site.verify().check()


def test_signatures_of_replaced_index_are_left_behind(site):
    site.sign("signature-1", SIMPLE)
    site.sign(f"{site.platforms[0]}.signature-1", SECOND)
    amd64 = PlatformSelection((Platform.parse("linux/amd64"),))
    [image] = site.export(selection=amd64).inventory.images
    assert image.left_behind == (f"sha256={site.hex}/signature-1",)
    assert [item.manifest.hex for item in image.signatures] == [site.platforms[0]]


def test_signature_of_unknown_format_is_left_behind(site):
    site.sign("signature-1", b"<html>not found</html>")
    site.sign("signature-2", SIMPLE)
    [image] = site.export().inventory.images
    assert image.left_behind == (f"sha256={site.hex}/signature-1",)
    assert len(image.signatures) == 1
    assert "unknown signature format" in site.warnings[0]


def test_images_share_the_signatures_of_a_manifest(site):
    site.sign("signature-1", SIMPLE)
    report = site.export(references=("registry.corp/app:1", "other.corp/app:2"))
    assert {image.signatures for image in report.inventory.images} == {
        report.inventory.images[0].signatures
    }
    assert len(list((site.bundle / "signatures").rglob("signature-*"))) == 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("damage", ["missing", "changed", "truncated", "link"])
def test_damaged_signature_is_a_finding_and_is_not_imported(site, kind, damage):
    site.sign("signature-1", SIMPLE)
    site.export(kind)
    root, _ = find_signatures(site, kind)
    path = site.bundle / f"{root}1"
    if damage == "changed":
        path.write_bytes(SIMPLE[:-1] + b"X")
    elif damage == "truncated":
        path.write_bytes(SIMPLE[:-1])
    else:
        path.unlink()
    if damage == "link":
        (site.path / "elsewhere").write_bytes(SIMPLE)
        path.symlink_to(site.path / "elsewhere")
    codes = {"changed": "damaged", "truncated": "size", "missing": "missing", "link": "special"}
    [finding] = site.verify().findings
    assert (finding.code, finding.path) == (codes[damage], f"{root}1")
    assert finding.images == ("registry.corp/app:1",)
    with pytest.raises((DamagedBundleError, MalformedError)):
        site.import_(f"dir:{site.path / 'target'}")
    assert not (site.path / "target").exists()


def test_resealed_bundle_with_another_signature_than_listed_is_damaged(site):
    """SHA256SUMS and the inventory must agree, even if the bundle is correctly signed."""
    site.sign("signature-1", SIMPLE)
    site.export()
    root, _ = find_signatures(site, "oci")
    document = site.document()
    (site.bundle / f"{root}1").write_bytes(SIMPLE[:-1] + b"X")
    site.reseal(document)
    assert [finding.code for finding in site.verify().findings] == ["damaged"]
    with pytest.raises(DamagedBundleError):
        site.import_(f"dir:{site.path / 'target'}")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("number", 0),
        ("number", -1),
        ("number", 10_000),
        ("number", "1"),
        ("number", True),
        ("size", 0),
        ("size", 4 * 1024 * 1024 + 1),
        ("digest", "sha256:../../etc/passwd"),
        ("manifest", "../../../etc"),
        ("manifest", "sha256:" + "A" * 64),
    ],
)
def test_hostile_signature_entry_is_refused(site, member, value):
    site.sign("signature-1", SIMPLE)
    site.export()
    document = site.document()
    document["images"][0]["signatures"][0][member] = value
    site.reseal(document)
    assert "bundle.json" in [finding.path for finding in site.verify().findings]
    with pytest.raises(MalformedError):
        site.import_(f"dir:{site.path / 'target'}")


def test_unlisted_signature_is_never_used(site):
    site.export()
    folder = site.bundle / f"signatures/sha256={site.hex}"
    folder.mkdir(parents=True)
    (folder / "signature-1").write_bytes(SIMPLE)
    (folder / "notes.txt").write_bytes(b"foreign")
    found = site.verify()
    unlisted = (f"signatures/sha256={site.hex}/signature-1",)
    assert (found.findings, found.unlisted, found.ignored) == ((), unlisted, 1)
    site.import_(f"dir:{site.path / 'target'}")
    assert not (site.path / "target/app/1/signature-1").exists()


def test_registry_with_lookaside_takes_only_simple_signatures(site):
    """The other one is in a warning, in the report, and so in the receipt."""
    site.sign("signature-1", SIMPLE)
    site.sign("signature-2", SIGSTORE)
    site.export()
    with FakeRegistry() as registry:
        plain = {registry.host: RegistryOverride(plain_http=True)}
        result = site.import_(f"docker://{registry.host}", overrides=plain)
    [image] = result.images
    [unstored] = image.unstored_signatures
    assert (image.signatures, unstored.count, unstored.manifest.hex) == (1, 1, site.hex)
    assert "attachments" in unstored.reason
    assert site.warnings == [str(unstored)]
    [entry] = result.to_json()["images"]
    assert entry["unstoredSignatures"][0]["count"] == 1
    assert (site.lookaside / f"app@sha256={site.hex}/signature-1").read_bytes() == SIMPLE


def test_layout_stores_no_signatures_and_the_report_states_it(site):
    site.sign("signature-1", SIMPLE)
    site.export()
    for dry_run in (True, False):
        site.events.clear()
        result = site.import_(f"oci:{site.path / 'layout'}", dry_run=dry_run)
        [unstored] = result.images[0].unstored_signatures
        assert unstored.reason == "the target stores no signatures"
        assert site.warnings == [str(unstored)]


def test_lookaside_signature_travels_from_registry_to_registry(site):
    with FakeRegistry() as registry:
        digest = registry.add_image("team/app", "1").removeprefix("sha256:")
        stored = site.lookaside / f"team/app@sha256={digest}/signature-1"
        stored.parent.mkdir(parents=True)
        stored.write_bytes(SIMPLE)
        plain = {registry.host: RegistryOverride(plain_http=True)}
        request = ImageRequest(
            transports.parse(f"docker://{registry.host}/team/app:1"),
            ImageReference.parse(f"{registry.host}/team/app:1"),
            referrers="all",
            signatures="applicable",
        )
        options = OpenOptions(site.options.load_settings, overrides=plain)
        bundle = exporting.ExportRequest(
            [request], options, site.bundle, "plant-7", "oci", keys=(KEY,)
        )
        with ThreadPoolExecutor(4) as executor:
            exporting.export(bundle, EngineOptions(executor))
        site.import_(f"docker://{registry.host}/mirror", overrides=plain)
    copied = site.lookaside / f"mirror/team/app@sha256={digest}/signature-1"
    assert copied.read_bytes() == SIMPLE


def test_policy_of_the_importing_side_sees_the_signatures(site):
    """They are compared with the inventory before they are used."""
    site.sign("signature-1", SIMPLE)
    site.sign(f"{site.platforms[0]}.signature-1", SECOND)
    report = site.export()
    source = BundleSource(DirectoryFiles(site.bundle), report.inventory)
    [root, *_] = {
        item.manifest
        for item in report.inventory.images[0].signatures
        if item.manifest.hex == site.hex
    }
    assert source.signatures(root) == [SIMPLE]
    source.close()


def test_total_size_of_signatures_is_limited(site, monkeypatch):
    site.sign("signature-1", SIMPLE)
    references = [f"registry.corp/app:{number}" for number in range(4)]
    monkeypatch.setattr(resolving, "MAX_SIGNATURE_BYTES", 3 * len(SIMPLE))
    with pytest.raises(LimitError):
        site.export(references=references)
    site.export(references=references[:3])


def test_all_signatures_are_announced_to_the_policy(site):
    site.sign("signature-1", SIMPLE)
    site.sign(f"{site.platforms[0]}.signature-1", SECOND)
    site.export(references=("registry.corp/app:1", "registry.corp/app:2"))
    policy = AcceptsDigests()
    site.import_(f"dir:{site.path / 'target'}", policy=PolicyUse("applied", check=policy))
    names = [f"docker://registry.corp/app:{tag}" for tag in (1, 2)]
    announced = {name: set(found) for name, found in policy.expected.items()}
    assert announced == {name: {SIMPLE, SECOND} for name in names}


def test_comparison_finds_signatures_that_the_target_lacks(site):
    site.sign("signature-1", SIMPLE)
    site.sign("signature-2", SECOND)
    site.export()
    target = parse_target(f"dir:{site.path / 'target'}")
    site.import_(str(target))

    def compare():
        opened = open_images(Location((str(site.bundle),)), site.options)
        with opened as found, ThreadPoolExecutor(2) as executor:
            request = TargetRequest(found.images, target, site.options)
            return compare_target(request, EngineOptions(executor)).problems

    assert not compare()
    (site.path / "target/app/1/signature-2").unlink()
    (problem,) = compare()
    assert (problem.code, problem.actual) == ("signature-absent", "1 of 2")
    assert problem.digest.text == site.image.digest
