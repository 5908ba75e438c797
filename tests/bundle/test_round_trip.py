"""Export, verification and import with real directories, without a registry."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bundler import transports
from bundler.bundle.audit.listings.list_contents import list_bundle
from bundler.bundle.exporting import export as exporting
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.signatures import bundle_signatures
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.target import parse_target
from bundler.bundle.verifying.verify import verify
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.copy.target_names import NameMapping
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    DamagedBundleError,
    DigestMismatchError,
    ExpiredError,
    IntegrityError,
    InvalidReferenceError,
    InvalidSignatureError,
    LimitError,
    NoSuchImageError,
    PartialError,
    UnauthenticatedError,
    UnusableBlob,
    UsageError,
)
from bundler.gocompat.regexp import GoExpression
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from bundler.transports.oci_layout.transport import LayoutSource
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import bundles, images
from tests.fakes.damage import flip_bit
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

KEY = keys.generate_key()
APP = "registry.corp/team/app:1"
MULTI = "docker.io/library/multi:2"


@pytest.fixture
def layout(tmp_path):
    """Two images that share a layer, one of them signed with cosign."""
    shared = images.layer({"shared": b"shared " * 5000})
    app = images.image(shared, images.layer({"own": b"own"}))
    multi = images.multi_platform("multi", "linux/amd64", "linux/arm64", shared=shared)
    tag, signature = images.cosign_signature(app)
    sbom = images.artifact("application/spdx+json", b"sbom", subject=app)
    named = {"app": app, "multi": multi, tag: signature, "sbom": sbom}
    images.write_layout(tmp_path / "layout", named)
    return tmp_path / "layout", named


class Site:
    """The directories and settings of a test."""

    def __init__(self, tmp_path: Path, layout: tuple[Path, dict[str, images.Image]]) -> None:
        self.path = tmp_path
        self.layout, self.images = layout
        home = tmp_path / "home"
        self.options = OpenOptions(
            lambda: Settings.load(
                {}, home, 1000, ConfigPathOverrides(etc=home, usr_share=home, run=home)
            )
        )
        self.bundle = tmp_path / "bundle"

    def request(self, reference=APP, name="app", **more):
        settings = {"selection": PlatformSelection(index="all"), "referrers": "all"}
        settings |= {"origin": "test.yaml:1"} | more
        source = transports.parse(f"oci:{self.layout}:{name}")
        return ImageRequest(source, ImageReference.parse(reference), **settings)

    def both(self):
        return [self.request(), self.request(MULTI, "multi")]

    def export(
        self, *requests, signed=True, stream="plant-7", kind="oci", keep_going=False, **more
    ):
        request = exporting.ExportRequest(
            requests or self.both(),
            self.options,
            self.bundle,
            stream,
            kind,
            **({"keys": (KEY,) if signed else ()} | more),
        )
        with ThreadPoolExecutor(4) as executor:
            running = EngineOptions(executor, keep_going=keep_going)
            return exporting.export(request, running)

    def import_(self, target, *, dry_run=False, trusted=(KEY.public,), **more):
        request = import_bundle.ImportRequest(
            self.bundle,
            parse_target(target),
            self.options,
            TrustedKeys.create(trusted),
            dry_run=dry_run,
            **more,
        )
        with ThreadPoolExecutor(4) as executor:
            running = EngineOptions(executor, read_everything=True)
            return import_bundle.import_bundle(request, running)


@pytest.fixture
def site(tmp_path, layout):
    return Site(tmp_path, layout)


def names_in(directory):
    source = LayoutSource(directory)
    try:
        return {name: source.resolve(name).digest.text for name in source.tags()}
    finally:
        source.close()


def snapshot(directory):
    return {
        str(path.relative_to(directory)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_export_refuses_image_in_schema1_before_writing(site, tmp_path):
    """A bundle stores images unchanged, and neither format can store schema 1."""
    layer = images.image(images.layer({"f": b"content"})).blobs[1]
    history = json.dumps({"id": "1" * 64, "os": "linux", "architecture": "amd64", "config": {}})
    manifest = {
        "schemaVersion": 1,
        "name": "app",
        "tag": "1",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": layer.digest}],
        "history": [{"v1Compatibility": history}],
    }
    source = tmp_path / "old"
    source.mkdir()
    (source / "manifest.json").write_text(json.dumps(manifest))
    (source / layer.digest.removeprefix("sha256:")).write_bytes(layer.data)
    request = replace(site.request(), source=transports.parse(f"dir:{source}"))
    with pytest.raises(CannotConvertError) as raised:
        site.export(request)
    assert raised.value.reason == "an export does not convert images"
    assert not list(site.bundle.rglob("sha256/*"))


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_exported_bundle_verifies_and_imports_with_the_same_digests(site, kind):
    site.export(kind=kind)
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()
    report = site.import_(f"oci:{site.path / 'inside'}")
    found = names_in(site.path / "inside")
    assert found["team/app:1"] == site.images["app"].digest
    assert found["library/multi:2"] == site.images["multi"].digest
    assert {result.state for result in report.images} == {"new"}


def test_signatures_and_sboms_are_imported_with_their_image(site):
    report = site.export(site.request())
    referrers = {item.tag: item for item in report.inventory.images[0].referrers}
    assert len(referrers) == 2
    site.import_(f"oci:{site.path / 'inside'}")
    tag = next(tag for tag in referrers if tag)
    assert names_in(site.path / "inside")[f"team/app:{tag}"] == site.images[tag].digest


def test_referrer_without_its_content_is_left_behind_with_its_own_referrers(site):
    app, sbom = site.images["app"], site.images["sbom"]
    note = images.artifact("application/x", b"note", subject=sbom)
    site.layout = site.path / "more"
    images.write_layout(site.layout, site.images | {"note": note})
    shared = {blob.digest for blob in app.all_blobs()}
    (lost,) = [blob for blob in sbom.blobs if blob.data == b"sbom"]
    assert lost.digest not in shared
    (site.layout / "blobs/sha256" / lost.digest.removeprefix("sha256:")).unlink()
    report = site.export(site.request())
    (entry,) = report.inventory.images
    assert [item.tag is None for item in entry.referrers] == [False]
    assert set(entry.left_behind) == {sbom.digest, note.digest}
    assert verify(site.bundle, TrustedKeys.create([KEY.public])).whole
    site.import_(f"oci:{site.path / 'inside'}")


def test_each_blob_is_stored_once(site):
    site.export()
    every = {blob.digest for image in site.images.values() for blob in image.all_blobs()}
    stored = {f"sha256:{path.name}" for path in (site.bundle / "blobs/sha256").iterdir()}
    assert stored == every | {
        item.digest for image in site.images.values() for item in image.manifests()
    }


def test_export_without_changes_writes_nothing(site):
    first = site.export()
    before = snapshot(site.bundle)
    second = site.export()
    assert not second.changed
    assert second.inventory.serial == first.inventory.serial
    assert snapshot(site.bundle) == before


@pytest.mark.parametrize("signature", ["kept", "removed"])
def test_export_never_signs_an_inventory_that_was_changed_on_the_medium(site, signature):
    """Such an inventory is replaced, although it lists the requested images."""
    site.export(expires=timedelta(days=30))
    path = site.bundle / "bundle.json"
    forged = json.loads(path.read_bytes())
    forged |= {"created": "2099-01-01T00:00:00Z", "expires": "2099-01-31T00:00:00Z"}
    forged["serial"] += 10**9
    path.write_bytes(json.dumps(forged, sort_keys=True, separators=(",", ":")).encode())
    if signature == "removed":
        for file in site.bundle.glob("*.sig"):
            file.unlink()

    renewed = site.export(expires=timedelta(days=30))
    assert renewed.changed
    assert renewed.inventory.created.year < 2099
    assert renewed.inventory.serial < forged["serial"]
    verified = verify(site.bundle, TrustedKeys.create([KEY.public]))
    verified.check()
    assert verified.inventory == renewed.inventory


def test_export_seals_an_unsigned_bundle_again_to_sign_it(site):
    """The inventory of an unsigned bundle is not authenticated, so it is not signed."""
    unsigned = site.export(signed=False)
    signed = site.export()
    assert signed.inventory.serial > unsigned.inventory.serial
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_export_does_not_seal_what_no_reader_accepts(site, monkeypatch):
    """The former bundle, which has an image less, remains valid."""
    site.export()
    monkeypatch.setattr("bundler.bundle.format.inventory.parse_inventory.MAX_ITEMS", 2)
    with pytest.raises(LimitError):
        site.export(*site.both(), site.request("docker.io/library/third:1"))
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_export_adds_the_signature_of_a_further_key(site):
    first = site.export()
    further = keys.generate_key()
    second = site.export(keys=(KEY, further))
    assert second.changed
    assert second.inventory == first.inventory
    assert len(second.signatures) == 2
    verify(site.bundle, TrustedKeys.create([further.public])).check()


def test_renewal_removes_images_that_are_no_longer_requested(site):
    first = site.export()
    second = site.export(site.request())
    assert second.changed
    assert second.inventory.serial > first.inventory.serial
    assert set(names_in(site.bundle)) == {APP} | {
        name for name in names_in(site.bundle) if "team/app" in name
    }
    assert not list(site.bundle.rglob(site.images["multi"].digest.removeprefix("sha256:")))
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_export_repairs_a_damaged_bundle(site):
    site.export()
    blob = bundles.find_largest_blob(site.bundle)
    flip_bit(blob)
    assert not verify(site.bundle, TrustedKeys.create([KEY.public])).whole
    assert site.export().changed
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_single_platform_is_recorded_with_the_index_it_replaces(site):
    request = site.request(
        MULTI, "multi", selection=PlatformSelection((Platform("linux", "arm64"),))
    )
    image = site.export(request).inventory.images[0]
    assert image.replaces is not None
    assert image.replaces.text == site.images["multi"].digest
    assert image.platforms == ("linux/arm64",)
    assert image.index is None


def test_incomplete_bundle_contains_the_other_images(site):
    report = site.export(site.request(), site.request(MULTI, "gone"), keep_going=True)
    assert list(report.missing) == [MULTI]
    assert not report.inventory.complete
    assert [str(image.reference) for image in report.inventory.images] == [APP]


def test_missing_image_is_reported_once(site):
    report = site.export(site.request(), site.request(MULTI, "gone"), keep_going=True)
    with pytest.raises(PartialError) as caught:
        report.check()
    assert str(caught.value).count(MULTI) == 1


def test_missing_image_ends_the_export_before_the_first_write(site):
    with pytest.raises(NoSuchImageError) as raised:
        site.export(site.request(), site.request(MULTI, "gone"))
    assert raised.value.name == "gone"
    assert not site.bundle.exists()


def test_import_refuses_unsigned_bundle_unless_allowed(site):
    site.export(signed=False)
    target = f"oci:{site.path / 'inside'}"
    with pytest.raises(UnauthenticatedError) as raised:
        site.import_(target)
    assert raised.value.signed_by == ()
    assert not (site.path / "inside").exists()
    site.import_(target, allow_unsigned=True)


def test_import_refuses_bad_signature_even_if_unsigned_is_allowed(site):
    site.export()
    raw = bytearray((site.bundle / "bundle.json").read_bytes())
    raw[-3:-3] = b" "
    (site.bundle / "bundle.json").write_bytes(raw)
    with pytest.raises(InvalidSignatureError):
        site.import_(f"oci:{site.path / 'inside'}", allow_unsigned=True)


def test_import_refuses_bundle_signed_by_another_key(site):
    site.export()
    other = keys.generate_key().public
    with pytest.raises(UnauthenticatedError) as raised:
        site.import_(f"oci:{site.path / 'inside'}", trusted=[other])
    assert raised.value.signed_by == (KEY.public.id[:16],)
    assert raised.value.trusted == (other.id,)


def test_import_refuses_expired_bundle_unless_allowed(site):
    site.export(expires=timedelta(seconds=-1))
    with pytest.raises(ExpiredError):
        site.import_(f"oci:{site.path / 'inside'}")
    site.import_(f"oci:{site.path / 'inside'}", allow_expired=True)


@pytest.mark.parametrize("left", [None, 7])
def test_unusable_blob_ends_the_import_before_the_first_push(site, left):
    site.export()
    blobs = (site.bundle / "blobs/sha256").iterdir()
    blob = next(path for path in blobs if not path.read_bytes().startswith(b"{"))  # a layer
    size = blob.stat().st_size
    blob.unlink()
    if left is not None:
        blob.write_bytes(bytes(left))
    with pytest.raises(DamagedBundleError) as raised:
        site.import_(f"oci:{site.path / 'inside'}")
    assert raised.value.blobs == (UnusableBlob(f"sha256:{blob.name}", size, left),)
    assert not (site.path / "inside").exists()


def test_link_in_place_of_a_blob_is_reported_as_a_link(site):
    site.export()
    blobs = (site.bundle / "blobs/sha256").iterdir()
    blob = next(path for path in blobs if not path.read_bytes().startswith(b"{"))  # a layer
    size = blob.stat().st_size
    blob.rename(site.path / "elsewhere")
    blob.symlink_to(site.path / "elsewhere")
    with pytest.raises(DamagedBundleError) as raised:
        site.import_(f"oci:{site.path / 'inside'}")
    assert raised.value.blobs == (UnusableBlob(f"sha256:{blob.name}", size, None, special=True),)


def test_import_of_damaged_blob_publishes_no_name(site):
    site.export()
    blob = bundles.find_largest_blob(site.bundle)
    flip_bit(blob)
    with pytest.raises(DigestMismatchError) as raised:
        site.import_(f"oci:{site.path / 'inside'}")
    assert raised.value.expected == f"sha256:{blob.name}"
    assert not (site.path / "inside/index.json").exists()


def test_import_finds_damaged_blob_that_the_target_has(site):
    site.export()
    site.import_(f"oci:{site.path / 'inside'}")
    blob = bundles.find_largest_blob(site.bundle)
    flip_bit(blob)
    with pytest.raises(DigestMismatchError) as raised:
        site.import_(f"oci:{site.path / 'inside'}")
    assert raised.value.expected == f"sha256:{blob.name}"


def test_target_name_with_another_digest_is_a_conflict(site):
    site.export()
    target = f"oci:{site.path / 'inside'}"
    site.import_(target)
    site.export(site.request(APP, "multi"))
    with pytest.raises(ConflictError) as raised:
        site.import_(target)
    assert raised.value.subjects == (f"{target}:team/app:1",)
    skipped = site.import_(target, existing="skip")
    assert [result.state for result in skipped.images] == ["skipped"]
    assert names_in(site.path / "inside")["team/app:1"] == site.images["app"].digest
    site.import_(target, existing="overwrite")
    assert names_in(site.path / "inside")["team/app:1"] == site.images["multi"].digest


def test_second_import_leaves_names_unchanged(site):
    site.export()
    target = f"oci:{site.path / 'inside'}"
    site.import_(target)
    before = snapshot(site.path / "inside")
    report = site.import_(target)
    assert {result.state for result in report.images} == {"same"}
    assert snapshot(site.path / "inside") == before


def test_dry_run_reports_conflicts(site):
    site.export()
    target = f"oci:{site.path / 'inside'}"
    site.import_(target)
    site.export(site.request(APP, "multi"), site.request(MULTI, "multi"))
    report = site.import_(target, dry_run=True)
    assert [result.state for result in report.images] == ["conflict", "same"]


def test_import_refuses_directory_without_complete_bundle(site):
    site.export()
    (site.bundle / "bundle.json").unlink()
    with pytest.raises(DamagedBundleError):
        site.import_(f"oci:{site.path / 'inside'}")


def test_error_of_damaged_blob_hints_at_verify(site):
    site.export()
    layer = bundles.find_largest_blob(site.bundle)
    layer.write_bytes(b"\0" * layer.stat().st_size)
    with pytest.raises(IntegrityError) as caught:
        site.import_(f"oci:{site.path / 'inside'}")
    assert f"airbundle verify {site.bundle}" in caught.value.hint


def test_dry_run_writes_nothing(site):
    site.export()
    report = site.import_(f"oci:{site.path / 'inside'}", dry_run=True)
    assert not (site.path / "inside").exists()
    assert report.totals.pushed.size > 0


def test_import_with_only_imports_matching_images(site):
    site.export()
    site.import_(f"oci:{site.path / 'inside'}", only=(GoExpression.parse("multi"),))
    assert list(names_in(site.path / "inside")) == ["library/multi:2"]


def test_import_to_dir_stores_each_image_at_its_name(site):
    site.export()
    site.import_(f"dir:{site.path / 'tree'}", names=NameMapping(default="host-path"))
    manifest = site.path / "tree/docker.io/library/multi/2/manifest.json"
    assert manifest.read_bytes() == site.images["multi"].root.data


def test_receipt_lists_images_and_actions(site):
    site.export()
    value = site.import_(f"oci:{site.path / 'inside'}").to_json()
    assert json.loads(json.dumps(value))["signedBy"] == [KEY.public.id]
    assert {line["reference"] for line in value["images"]} == {APP, MULTI}


def test_symbolic_link_in_place_of_a_blob_is_refused(site):
    site.export()
    blob = bundles.find_largest_blob(site.bundle)
    elsewhere = site.path / "elsewhere"
    blob.rename(elsewhere)
    blob.symlink_to(elsewhere)
    with pytest.raises(IntegrityError) as raised:
        site.import_(f"oci:{site.path / 'inside'}")
    assert blob.name in str(raised.value)


def test_bundle_that_is_signed_later_verifies(site):
    site.export(signed=False)
    bundle_signatures.sign_bundle(site.bundle, [KEY])
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_registry_without_port_or_dot_is_not_a_target(site):
    """Docker reads such a name as a path on Docker Hub."""
    site.export()
    with pytest.raises(InvalidReferenceError):
        site.import_("docker://registry/prefix")


def test_import_authenticates_inventory_before_parsing(site):
    site.export()
    (site.bundle / "bundle.json").write_bytes(b"not JSON at all")
    with pytest.raises(InvalidSignatureError):
        site.import_(f"oci:{site.path / 'inside'}")


def test_each_report_lists_referrers_of_the_replaced_index(site):
    multi = site.images["multi"]
    tag, signature = images.cosign_signature(multi)
    site.layout = images.write_layout(site.path / "second", {"multi": multi, tag: signature})
    request = site.request(
        MULTI, "multi", selection=PlatformSelection((Platform("linux", "arm64"),))
    )
    left_behind = ((MULTI, tag),)
    assert site.export(request).omissions.referrers == left_behind
    assert verify(site.bundle, TrustedKeys.create([KEY.public])).omissions.referrers == left_behind
    assert list_bundle(DirectoryFiles(site.bundle)).omissions.referrers == left_behind
    report = site.import_(f"oci:{site.path / 'inside'}")
    assert report.to_json()["leftBehind"] == [{"reference": MULTI, "referrer": tag}]


def test_export_refuses_bundle_of_another_stream_or_format(site):
    site.export()
    before = snapshot(site.bundle)
    with pytest.raises(ConflictError) as raised:
        site.export(kind="dir")
    assert raised.value.subjects == ("format",)
    with pytest.raises(ConflictError) as raised:
        site.export(stream="ship-9", signed=False)
    assert raised.value.subjects == ("stream",)
    assert snapshot(site.bundle) == before


def test_export_refuses_duplicate_blobs_in_format_oci(site):
    """The option has no effect there: a layout stores each blob once."""
    with pytest.raises(UsageError):
        site.export(kind="oci", duplicate_blobs=True)
    assert not site.bundle.exists()
    assert site.export(kind="dir", duplicate_blobs=True).changed


@pytest.mark.parametrize("prefix", ["mirror", "plant/mirror"])
def test_import_to_registry_pushes_below_prefix(site, prefix):
    """Referrers are pushed to the repository of their image."""
    site.export()
    app, multi = f"{prefix}/team/app", f"{prefix}/library/multi"
    with FakeRegistry() as registry:
        overrides = {registry.host: RegistryOverride(plain_http=True)}
        site.options = replace(site.options, overrides=overrides)
        report = site.import_(f"docker://{registry.host}/{prefix}")
        repositories = registry.repositories
    assert {result.name for result in report.images} == {
        f"{registry.host}/{app}:1",
        f"{registry.host}/{multi}:2",
    }
    written = {name for name, stored in repositories.items() if stored.blobs or stored.manifests}
    assert written == {app, multi}
    assert repositories[app].tags["1"] == site.images["app"].digest
    assert repositories[multi].tags["2"] == site.images["multi"].digest
    tag = next(name for name in site.images if name.startswith("sha256-"))
    assert repositories[app].tags[tag] == site.images[tag].digest
    assert site.images["sbom"].digest in repositories[app].manifests


@pytest.mark.parametrize("kind", ["oci", "dir"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_import_refuses_a_bundle_as_target(site, kind, dry_run):
    """This includes the bundle that is imported: its index.json would change."""
    site.export()
    before = snapshot(site.bundle)
    with pytest.raises(UsageError):
        site.import_(f"{kind}:{site.bundle}", dry_run=dry_run)
    assert snapshot(site.bundle) == before


def test_signature_at_the_target_is_not_replaced_unless_allowed(site):
    """The target's owner may have signed the image as well, under the same tag."""
    site.export(site.request())
    target = f"oci:{site.path / 'inside'}"
    tag = next(name for name in site.images if name.startswith("sha256-"))
    own = images.artifact("application/vnd.example.signature", b"of those inside")
    images.write_layout(site.path / "inside", {f"team/app:{tag}": own})
    with pytest.raises(ConflictError) as raised:
        site.import_(target)
    assert raised.value.subjects == (f"team/app:{tag}",)
    assert names_in(site.path / "inside") == {f"team/app:{tag}": own.digest}
    site.import_(target, existing="skip")
    assert names_in(site.path / "inside")[f"team/app:{tag}"] == own.digest
    assert names_in(site.path / "inside")["team/app:1"] == site.images["app"].digest
    site.import_(target, existing="overwrite")
    assert names_in(site.path / "inside")[f"team/app:{tag}"] == site.images[tag].digest


@pytest.mark.parametrize("dry_run", [False, True])
def test_image_within_the_directory_of_another_is_refused_before_the_first_push(site, dry_run):
    site.export(
        site.request("registry.example/x:v"),
        site.request("registry.example/x/v:manifest.json", "multi"),
    )
    target = site.path / "target"
    with pytest.raises(ConflictError) as raised:
        site.import_(f"dir:{target}", dry_run=dry_run)
    assert raised.value.subjects == ("x/v", "x/v/manifest.json")
    assert not target.exists() or not list(target.rglob("*"))
