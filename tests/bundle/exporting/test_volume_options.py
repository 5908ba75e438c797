"""Exports to volumes: the options that apply, those that do not, and the questions for more."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.exporting import export_volumes as exporting
from bundler.bundle.exporting.estimate import estimate
from bundler.bundle.exporting.export import ExportRequest
from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.copy.engine import EngineOptions
from bundler.errors import (
    AbsentBlobsError,
    ConflictError,
    NoSpaceError,
    UnreadableBundleError,
    UsageError,
    VolumesOwedError,
)
from bundler.oci.digest import Digest
from tests.bundle.test_round_trip import Site, names_in
from tests.bundle.test_volumes import OTHER, SIZE, check, export, import_, random_layer
from tests.fakes import images
from tests.fakes.damage import flip_bit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.bundle.exporting.export import VolumeQuestion

LAYER = random_layer(1)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two images with three layers, of which two fit on a volume."""
    named = {
        "app": images.image(LAYER, random_layer(2)),
        "other": images.image(LAYER, random_layer(3)),
    }
    images.write_layout(tmp_path / "layout", named)
    return Site(tmp_path, (tmp_path / "layout", named))


def ask(*answers: Path | None) -> tuple[Callable[[VolumeQuestion], Path | None], list[str | None]]:
    """Return a function that gives these answers, and the problems that it is told."""
    problems: list[str | None] = []
    remaining = iter(answers)

    def answer(question: VolumeQuestion) -> Path | None:
        problems.append(question.problem)
        return next(remaining)

    return answer, problems


def test_layers_that_the_target_has_are_on_no_volume(site: Site):
    blob = LAYER.blob
    held = HeldBlob(Digest(blob.digest), len(blob.data))
    export(site, held={held.digest: held}, volume_size=OVERHEAD + 300_000)
    first, second = site.path / "v1", site.path / "v2"
    assert not list(site.path.glob(f"v?/blobs/sha256/{held.digest.hex}"))
    check(first, second).check()
    with pytest.raises(AbsentBlobsError) as caught:
        import_(site, first)
    assert [item.digest for item in caught.value.blobs] == [blob.digest]
    assert not (site.path / "target").exists()

    former = Site(site.path / "former", (site.layout, site.images))
    former.path.mkdir()
    former.export(former.request())
    former.import_(f"oci:{site.path / 'target'}")
    with pytest.raises(VolumesOwedError):
        import_(site, first)
    assert len(import_(site, second).images) == 2
    assert len(names_in(site.path / "target")) == 2


def test_program_is_on_each_volume(site: Site):
    program = site.path / "program"
    program.write_bytes(b"#!/bin/sh\n")
    export(site, program={"program-0123456789abcdef/airbundle": program})
    for name in ("v1", "v2"):
        assert (site.path / name / "program-0123456789abcdef/airbundle").exists()
        assert not check(site.path / name).volumes[0].findings
    assert "verify\nthis volume alone" in (site.path / "v1/VERIFY.txt").read_text()
    check(site.path / "v1", site.path / "v2").check()


def test_volume_that_returns_other_bytes_is_found(site: Site, monkeypatch: pytest.MonkeyPatch):
    def damage(directory: exporting.Directory, *_: object) -> None:
        blobs = (directory.path / "blobs/sha256").iterdir()
        flip_bit(max(blobs, key=lambda path: path.stat().st_size))

    monkeypatch.setattr(exporting.sealing, "prune", damage)
    with pytest.raises(UnreadableBundleError):
        export(site, read_back=True)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"in_place": True}, "--in-place does not apply to volumes: they are not renewed"),
        ({"recovery": 5}, "--recovery does not apply to volumes: their checksums are signed"),
        ({"archive": True}, "--archive does not apply to volumes"),
        ({"kind": "dir"}, "--format dir does not apply to volumes"),
    ],
)
def test_option_that_does_not_apply_is_refused(site: Site, option: dict[str, object], reason: str):
    with pytest.raises(UsageError, match=reason) as caught:
        export(site, **option)
    assert caught.value.hint
    assert not (site.path / "v1").exists()


def test_further_volumes_are_asked_for_one_after_the_other(site: Site):
    answer, problems = ask(site.path / "v1", site.path / "v2", site.path / "v3")
    size = OVERHEAD + 300_000
    report = export(site, volumes=(), volume_size=size, ask_for_volume=answer)
    assert problems[0] is None
    assert "contains volume 1" in (problems[1] or "")
    assert [*report.volumes] == [1, 2, 3]
    check(*(site.path / f"v{number}" for number in (1, 2, 3))).check()


def test_export_that_ends_at_a_question_is_continued(site: Site):
    first, second = site.path / "v1", site.path / "v2"
    with pytest.raises(VolumesOwedError) as caught:
        export(site, volumes=(), ask_for_volume=ask(None)[0])
    assert caught.value.owed == (2,)
    plan = (first / "plan.json").read_bytes()
    assert not check(first).volumes[0].findings
    export(site, volumes=(), ask_for_volume=ask(second)[0])
    assert (first / "plan.json").read_bytes() == plan
    check(first, second).check()


def test_number_of_missing_volumes_is_reported_before_the_first_byte(site: Site):
    with pytest.raises(NoSpaceError) as caught:
        export(site, volume_size=OVERHEAD + 300_000)
    assert "1 further volume" in (caught.value.hint or "")
    assert not (site.path / "v1").exists()


def test_layer_that_is_larger_than_each_volume_is_named(site: Site):
    with pytest.raises(NoSpaceError, match=LAYER.blob.digest) as caught:
        export(site, volume_size=OVERHEAD + 100_000, ask_for_volume=ask()[0])
    assert "never divided" in (caught.value.hint or "")
    assert not (site.path / "v1").exists()


def test_volumes_in_another_order_are_refused_and_kept(site: Site):
    export(site)
    before = sorted(path.name for path in site.path.glob("v2/blobs/sha256/*"))
    site.bundle = site.path / "v2"
    requests = [site.request(), site.request(OTHER, "other")]
    with pytest.raises(ConflictError, match="contains volume 2"):
        site.export(*requests, volumes=(site.path / "v1",), volume_size=SIZE)
    assert sorted(path.name for path in site.path.glob("v2/blobs/sha256/*")) == before


def test_estimate_states_the_size_of_each_volume(site: Site):
    site.bundle = site.path / "v1"
    images = [site.request(), site.request(OTHER, "other")]
    size = OVERHEAD + 300_000
    request = ExportRequest(images, site.options, site.bundle, "plant-7", "oci", volume_size=size)
    with ThreadPoolExecutor(2) as executor:
        estimated = estimate(request, EngineOptions(executor))
    assert len(estimated.volumes) == 3
    assert all(250_000 < size < 300_000 for size in estimated.volumes)
    assert isinstance(estimated.refusal, NoSpaceError)
    assert not site.bundle.exists()
