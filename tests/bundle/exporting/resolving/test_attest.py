"""Attestations that an export adds: which images get them, and which ones a renewal keeps."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.format.signatures import attestation
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.target import parse_target
from bundler.bundle.verifying.verify import verify
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import SignerError
from bundler.events import Notice
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

KEY = keys.generate_key()
SECOND = keys.generate_key("ed25519")
APP = images.multi_platform("app", "linux/amd64", "linux/arm64")
TOOL = images.image(images.layer({"tool": b"tool"}))
SBOM = images.artifact("application/spdx+json", b"{}", subject=TOOL)
FILE = Digest.of(b"the bundle manifest")


@dataclass
class CountingSigner:
    """A signer that counts its signatures, and fails from ``limit`` on."""

    key: keys.PrivateKey
    count: int = 0
    limit: int = 1000

    @property
    def public(self):
        return self.key.public

    def sign(self, data):
        self.count += 1
        if self.count > self.limit:
            raise SignerError("token", "no signature", cause="signature")
        return self.key.sign(data)


class Site:
    def __init__(self, path):
        self.path = path
        self.bundle = path / "bundle"
        self.images = {"app": APP, "tool": TOOL, "sbom": SBOM}
        self.events = []
        home = path / "home"
        paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)
        self.load = lambda: Settings.load({}, home, 1000, paths)

    def export(self, *signers, names=("app", "tool"), kind="oci", **more):
        layout = self.path / f"layout-{len(list(self.path.iterdir()))}"
        images.write_layout(layout, self.images)
        options = {
            "selection": PlatformSelection(index="all"),
            "referrers": "all",
            "signatures": "applicable",
        } | more
        requests = [
            ImageRequest(
                transports.parse(f"oci:{layout}:{name}"),
                ImageReference.parse(f"registry.corp/{name}:1"),
                **{"origin": f"plant.yaml:{line}"} | options,
            )
            for line, name in enumerate(names, 1)
        ]
        return self.export_request(*requests, signers=signers, kind=kind)

    def export_request(self, *requests, signers, kind="oci", options=None):
        request = exporting.ExportRequest(
            requests,
            options or OpenOptions(self.load),
            self.bundle,
            "plant-7",
            kind,
            keys=signers,
            attest=True,
            manifest_files={"plant.yaml": FILE},
        )
        with ThreadPoolExecutor(4) as executor:
            return exporting.export(request, EngineOptions(executor, emit=self.events.append))

    def import_into(self, registry):
        """Import the bundle; return the options for opening the registry."""
        overrides = {registry.host: RegistryOverride(plain_http=True)}
        options = OpenOptions(self.load, overrides=overrides)
        request = import_bundle.ImportRequest(
            self.bundle,
            parse_target(f"docker://{registry.host}/plant"),
            options,
            TrustedKeys.create([KEY.public]),
        )
        with ThreadPoolExecutor(4) as executor:
            import_bundle.import_bundle(request, EngineOptions(executor))
        return options

    def read(self, report, reference, *trusted):
        """Return the statements about an image, by the ID of the key."""
        (image,) = [item for item in report.inventory.images if str(item.reference) == reference]
        found = {}
        for item in image.referrers:
            manifest = json.loads((self.bundle / f"blobs/sha256/{item.digest.hex}").read_bytes())
            (layer,) = manifest["layers"]
            raw = (self.bundle / f"blobs/sha256/{layer['digest'][7:]}").read_bytes()
            if manifest["artifactType"] == "application/vnd.dev.sigstore.bundle.v0.3+json":
                key, statement = attestation.verify(raw, image.digest, trusted or [KEY.public])
                found[key.id] = statement
        return found

    def list_digests(self):
        """Return the digests of all referrers by the name of the image."""
        document = json.loads((self.bundle / "bundle.json").read_bytes())
        return {
            item["reference"]: [entry["digest"] for entry in item.get("referrers", ())]
            for item in document["images"]
        }


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.mark.parametrize("kind", ["oci", "dir"])
def test_attested_bundle_is_whole_and_stays_as_it_is(site, kind):
    report = site.export(KEY, kind=kind)
    assert report.attested == 2
    assert report.to_json()["attested"] == 2
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()
    files = {path: path.read_bytes() for path in site.bundle.rglob("*") if path.is_file()}
    again = site.export(KEY, kind=kind)
    assert not again.changed
    assert {path: path.read_bytes() for path in files} == files


def test_statement_names_source_entry_and_bundle(site):
    amd64 = PlatformSelection((Platform.parse("linux/amd64"),))
    report = site.export(KEY, selection=amd64)
    (statement,) = site.read(report, "registry.corp/app:1").values()
    assert statement.digest != statement.source.digest == Digest(APP.digest)
    assert statement.source.transport == "oci"
    assert statement.source.reference is None  # a path on the exporting computer
    assert (statement.stream, statement.serial) == ("plant-7", report.inventory.serial)
    entry = statement.entry
    assert (entry.file, entry.line, entry.digest) == ("plant.yaml", 1, FILE)
    assert statement.platforms == ("linux/amd64",)
    assert abs((statement.exported - report.inventory.created).total_seconds()) < 60


@pytest.mark.parametrize(
    "origin", ["", "plant.yaml", "plant.yaml:", "plant.yaml:x", "other.yaml:1"]
)
def test_origin_without_known_file_and_line_is_left_out(site, origin):
    """The origin may come from a lock file."""
    report = site.export(KEY, names=["tool"], origin=origin)
    (statement,) = site.read(report, "registry.corp/tool:1").values()
    assert statement.entry is None


def test_source_in_registry_is_named(site):
    with FakeRegistry() as registry:
        images.push(registry.host, "team/tool", TOOL, "1")
        reference = f"{registry.host}/team/tool:1"
        overrides = {registry.host: RegistryOverride(plain_http=True)}
        report = site.export_request(
            ImageRequest(
                transports.parse(f"docker://{reference}"),
                ImageReference.parse(reference),
                referrers="all",
                signatures="applicable",
            ),
            options=OpenOptions(site.load, overrides=overrides),
            signers=(KEY,),
        )
    (statement,) = site.read(report, reference).values()
    assert statement.source.reference == f"docker://{reference}"
    assert statement.entry is None


def test_changed_image_is_attested_anew_and_others_keep_theirs(site):
    site.export(KEY)
    former = site.list_digests()
    site.images["tool"] = images.image(images.layer({"tool": b"newer"}))
    report = site.export(KEY)
    assert report.changed
    assert site.list_digests()["registry.corp/app:1"] == former["registry.corp/app:1"]
    (kept,) = site.read(report, "registry.corp/app:1").values()
    (new,) = site.read(report, "registry.corp/tool:1").values()
    assert kept.serial < new.serial == report.inventory.serial
    assert not site.export(KEY).changed


def test_each_signer_attests_once(site):
    first, second = CountingSigner(KEY), CountingSigner(SECOND)
    report = site.export(first, second)
    assert (first.count, second.count) == (3, 3)  # two images, and the bundle
    statements = site.read(report, "registry.corp/tool:1", KEY.public, SECOND.public)
    assert set(statements) == {KEY.public.id, SECOND.public.id}
    assert len(set(statements.values())) == 1
    assert not site.export(first, second).changed
    assert (first.count, second.count) == (3, 3)


def test_further_signer_makes_all_sign_the_same_statement(site):
    """Otherwise, a site that requires two signatures would find two statements with one each."""
    site.export(KEY)
    report = site.export(KEY, SECOND)
    statements = site.read(report, "registry.corp/tool:1", KEY.public, SECOND.public)
    assert {item.serial for item in statements.values()} == {report.inventory.serial}
    assert len(site.list_digests()["registry.corp/app:1"]) == 2


def test_damaged_attestation_is_replaced(site):
    report = site.export(KEY)
    (digest,) = site.list_digests()["registry.corp/app:1"]
    path = site.bundle / f"blobs/sha256/{digest[7:]}"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    renewed = site.export(KEY)
    assert renewed.changed
    assert renewed.inventory.serial > report.inventory.serial
    assert site.list_digests()["registry.corp/app:1"] != [digest]
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()


def test_attestation_of_other_key_is_not_kept(site):
    site.export(SECOND)
    report = site.export(KEY)
    assert set(site.read(report, "registry.corp/app:1")) == {KEY.public.id}


def test_source_keeps_its_referrers(site):
    report = site.export(KEY)
    tool = report.inventory.images[1]
    assert {item.artifact_type for item in tool.referrers} == {
        "application/spdx+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }


def test_image_without_referrers_gets_none(site):
    report = site.export(KEY, referrers="none", signatures="none")
    assert report.attested == report.referrers == 0
    assert not site.export(KEY, referrers="none", signatures="none").changed


def test_unsigned_bundle_is_not_attested(site):
    report = site.export()
    assert report.attested == 0
    assert any(isinstance(event, Notice) for event in site.events)


def test_failing_signer_leaves_no_bundle(site):
    with pytest.raises(SignerError):
        site.export(CountingSigner(KEY, limit=1))
    assert not (site.bundle / "bundle.json").exists()


def test_attestations_of_interrupted_export_are_removed(site):
    """Those that were written before the seal are not listed; the next run signs new ones."""
    with pytest.raises(SignerError):
        site.export(CountingSigner(KEY, limit=2))  # the third signature is that of the bundle
    assert not (site.bundle / "bundle.json").exists()
    site.export(KEY)
    verification = verify(site.bundle, TrustedKeys.create([KEY.public]))
    verification.check()
    assert verification.unlisted == ()
    assert sum(map(len, site.list_digests().values())) == 3


@pytest.mark.parametrize("referrers", [True, False])
def test_import_stores_attestations_in_registry(site, referrers):
    site.export(KEY)
    former = site.list_digests()["registry.corp/app:1"]
    with FakeRegistry(referrers=referrers) as registry:
        options = site.import_into(registry)
        source = transports.open_source(
            transports.parse(f"docker://{registry.host}/plant/app:1"), options
        )
        found = {item.digest.text for item in source.referrers(Digest(APP.digest))}
        source.close()
    assert found == set(former)


def test_second_gap_keeps_the_statement_about_the_first(site):
    """The exporter inside attests its own source, and carries what the first one stated."""
    site.export(KEY)
    with FakeRegistry() as registry:
        options = site.import_into(registry)
        reference = f"{registry.host}/plant/app:1"
        site.bundle = site.path / "second"
        report = site.export_request(
            ImageRequest(
                transports.parse(f"docker://{reference}"),
                ImageReference.parse(reference),
                selection=PlatformSelection(index="all"),
                referrers="all",
                signatures="applicable",
            ),
            options=options,
            signers=(SECOND,),
        )
    found = site.read(report, reference, KEY.public, SECOND.public)
    assert found[KEY.public.id].reference == "registry.corp/app:1"
    assert found[SECOND.public.id].source.reference == f"docker://{reference}"
