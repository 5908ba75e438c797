"""``--publish-as-complete``: publish the images that are complete, before all volumes have come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.errors import InvalidSignatureError, VolumesOwedError
from tests.bundle.test_round_trip import APP, Site, names_in
from tests.bundle.test_volumes import OTHER, export, import_, random_layer
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.importing.report import ImportReport


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two volumes; all layers of ``APP`` are on the first one, and one of ``OTHER``."""
    named = {
        "app": images.image(random_layer(1)),
        "other": images.image(random_layer(2), random_layer(3)),
    }
    images.write_layout(tmp_path / "layout", named)
    site = Site(tmp_path, (tmp_path / "layout", named))
    export(site)
    return site


def import_early(site: Site, *volumes: str, **more: object) -> ImportReport:
    paths = [site.path / name for name in volumes]
    return import_(site, *paths, publish_as_complete=True, **more)


def states(report: ImportReport) -> dict[str, str]:
    return {str(item.image.reference): item.state for item in report.images}


def test_image_is_published_when_its_last_part_has_come(site: Site):
    report = import_early(site, "v1")
    assert states(report) == {APP: "new"}
    assert len(names_in(site.path / "target")) == 1
    assert report.to_json()["complete"] is False
    with pytest.raises(VolumesOwedError, match="1 complete image published") as caught:
        report.check()
    assert caught.value.owed == (2,)

    report = import_early(site, "v2")
    report.check()
    assert states(report) == {APP: "same", OTHER: "new"}
    assert report.totals.pushed.blobs < 4  # the layers of the first volume are not sent again
    assert len(names_in(site.path / "target")) == 2


def test_first_volume_completes_the_bundle_if_it_comes_last(site: Site):
    with pytest.raises(VolumesOwedError) as caught:
        import_early(site, "v2")  # no image is complete
    assert caught.value.owed == (1,)
    assert not (site.path / "target/index.json").exists()
    assert states(import_early(site, "v1")) == {APP: "new", OTHER: "new"}


def test_dry_run_lists_complete_images_and_writes_nothing(site: Site):
    assert states(import_early(site, "v1", dry_run=True)) == {APP: "new"}
    assert not (site.path / "target").exists()


def test_announced_inventory_must_be_signed(site: Site):
    announced = site.path / "v1/bundle.announced.json"
    announced.write_bytes(announced.read_bytes().replace(b"docker.io/library/other", b"evil.io/x"))
    with pytest.raises(InvalidSignatureError):
        import_early(site, "v1")
    assert not (site.path / "target").exists()


def test_volume_without_an_announced_inventory_needs_the_last_one(site: Site):
    (site.path / "v1/bundle.announced.json").unlink()
    with pytest.raises(VolumesOwedError) as caught:
        import_early(site, "v1")
    assert caught.value.owed == (2,)
    assert not (site.path / "target").exists()
    assert states(import_early(site, "v1", "v2")) == {APP: "new", OTHER: "new"}
