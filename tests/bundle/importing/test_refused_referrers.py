"""Import into registries that refuse some or all referrers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.importing import import_bundle
from bundler.bundle.importing.target import parse_target
from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import RegistryOverride
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import BundlerError
from bundler.events import WarningIssued
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

APP = images.image(images.layer({"app": b"app"}))
SBOM = images.artifact("application/spdx+json", b"{}", subject=APP)
NOTATION = images.artifact("application/vnd.cncf.notary.signature", b"x", subject=APP)


@pytest.fixture
def import_(tmp_path):
    tag, signature = images.cosign_signature(APP)
    named = {"app": APP, "sbom": SBOM, "notation": NOTATION, tag: signature}
    images.write_layout(tmp_path / "layout", named)
    home = tmp_path / "home"
    paths = ConfigPathOverrides(etc=home, usr_share=home, run=home)

    def load():
        return Settings.load({}, home, 1000, paths)

    request = ImageRequest(
        transports.parse(f"oci:{tmp_path / 'layout'}:app"),
        ImageReference.parse("registry.corp/app:1"),
        selection=PlatformSelection(index="all"),
        referrers="all",
    )
    bundle = tmp_path / "bundle"
    with ThreadPoolExecutor(4) as executor:
        exporting.export(
            exporting.ExportRequest([request], OpenOptions(load), bundle, "plant-7", "oci"),
            EngineOptions(executor),
        )

    def run(registry):
        events = []
        options = OpenOptions(load, overrides={registry.host: RegistryOverride(plain_http=True)})
        request = import_bundle.ImportRequest(
            bundle, parse_target(f"docker://{registry.host}"), options, allow_unsigned=True
        )
        with ThreadPoolExecutor(4) as executor:
            engine = EngineOptions(executor, read_everything=True, emit=events.append)
            report = import_bundle.import_bundle(request, engine)
        return report, [event.text for event in events if isinstance(event, WarningIssued)]

    return run, tag


@pytest.mark.parametrize("status", [400, 405, 501])
def test_refused_referrer_is_reported_and_the_rest_is_stored(import_, status):
    run, tag = import_
    with FakeRegistry() as registry:
        registry.fail("PUT", f"/manifests/{SBOM.digest}", status=status, times=None)
        report, warnings = run(registry)
        stored = registry.repository("app")
        assert stored.tags["1"] == APP.digest
        assert tag in stored.tags
        assert NOTATION.digest in stored.manifests
        assert SBOM.digest not in stored.manifests
    [result] = report.images
    assert list(result.refused_referrers) == [SBOM.digest]
    [warning] = warnings
    assert SBOM.digest in warning
    [entry] = report.to_json()["images"]
    assert [item["referrer"] for item in entry["refusedReferrers"]] == [SBOM.digest]
    report.check()


@pytest.mark.parametrize("status", [400, 405])
def test_refused_image_is_an_error(import_, status):
    run, _ = import_
    with FakeRegistry() as registry:
        registry.fail("PUT", "/manifests/", status=status, times=None)
        with pytest.raises(BundlerError):
            run(registry)
        assert "1" not in registry.repository("app").tags


@pytest.mark.parametrize("status", [401, 403])
def test_other_failure_of_a_referrer_is_an_error(import_, status):
    """Only a refusal is permanent; anything else ends the import."""
    run, _ = import_
    with FakeRegistry() as registry:
        registry.fail("PUT", f"/manifests/{SBOM.digest}", status=status, times=None)
        with pytest.raises(BundlerError):
            run(registry)
