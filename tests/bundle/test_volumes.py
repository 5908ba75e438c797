"""Bundles on several volumes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.format.plan.resend_request import ResendRequest
from bundler.bundle.format.reading.volume_files import VolumeFiles
from bundler.bundle.importing.import_bundle import ImportRequest
from bundler.bundle.importing.partial_import import find_owed
from bundler.bundle.importing.target import parse_target
from bundler.bundle.verifying.verify import verify
from bundler.bundle.verifying.verify_volumes import VolumesVerification, verify_volumes
from bundler.copy.engine import EngineOptions
from bundler.errors import (
    ConflictError,
    DamagedBundleError,
    IntegrityError,
    InvalidSignatureError,
    MalformedError,
    NoSpaceError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
    UsageError,
    VolumesOwedError,
)
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.bundle.test_round_trip import APP, KEY, Site, names_in
from tests.fakes import images
from tests.fakes.damage import flip_bit

if TYPE_CHECKING:
    from pathlib import Path

TRUST = TrustedKeys.create([KEY.public])
OTHER = "docker.io/library/other:1"
SIZE = OVERHEAD + 600_000
NOW = datetime.now(UTC)


def random_layer(seed: int) -> images.Layer:
    return images.layer({"data": random.Random(seed).randbytes(250_000)})


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Two images with four layers of 250 KB, of which two fit on a volume."""
    app = images.image(random_layer(1), random_layer(2), random_layer(3))
    other = images.image(random_layer(1), random_layer(4))
    named = {"app": app, "other": other}
    images.write_layout(tmp_path / "layout", named)
    return Site(tmp_path, (tmp_path / "layout", named))


def export(site: Site, **more: object):
    site.bundle = site.path / "v1"
    requests = [site.request(), site.request(OTHER, "other")]
    return site.export(*requests, **({"volumes": (site.path / "v2",), "volume_size": SIZE} | more))


def check(*volumes: Path, trust: TrustedKeys = TRUST) -> VolumesVerification:
    with VolumeFiles(volumes) as files:
        return verify_volumes(files, trust, NOW)


def import_(site: Site, *volumes: Path, target: str = "target", **more: object):
    site.bundle = volumes
    return site.import_(f"oci:{site.path / target}", **more)


@pytest.fixture
def volumes(site: Site) -> tuple[Path, Path]:
    export(site)
    return site.path / "v1", site.path / "v2"


def test_each_volume_verifies_alone_and_all_of_them_together(site: Site, volumes):
    first, second = volumes
    for volume, owed in ((first, 2), (second, 1)):
        verified = check(volume)
        assert verified.trust_error is None
        assert not verified.volumes[0].findings
        with pytest.raises(VolumesOwedError) as caught:
            verified.check()
        assert caught.value.owed == (owed,)
        assert caught.value.exit_status == 11
    assert (first / "plan.json").read_bytes() == (second / "plan.json").read_bytes()
    verified = verify((second, first), TRUST)
    assert verified.whole
    assert verified.trust_error is None
    assert not verified.unlisted
    assert len({path.name for path in first.glob("blobs/sha256/*")}) < 9
    check(first, second).check()


def test_instructions_verify_one_volume(site: Site, volumes):
    first, _ = volumes
    text = (first / "VERIFY.txt").read_text()
    [command] = [line.strip() for line in text.splitlines() if "VOLUME-*.sha256" in line]
    shell = ["bash", "-euo", "pipefail", "-c", command]
    assert subprocess.run(shell, cwd=first, check=False).returncode == 0
    flip_bit(max(first.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size))
    assert subprocess.run(shell, cwd=first, check=False, capture_output=True).returncode != 0
    shutil.copy(first / "CONTENTS", first / "VOLUME-1.sha256")
    assert subprocess.run(shell, cwd=first, check=False, capture_output=True).returncode != 0


def test_volumes_copied_to_one_directory_are_a_bundle(site: Site, volumes):
    whole = site.path / "whole"
    for volume in volumes:
        shutil.copytree(volume, whole, dirs_exist_ok=True)
    verified = verify(whole, TRUST)
    assert verified.whole
    assert verified.trust_error is None
    assert not verified.foreign
    assert names_in(whole).keys() == {APP, OTHER}


def test_import_of_all_volumes_at_once(site: Site, volumes):
    report = import_(site, *reversed(volumes))
    assert [result.state for result in report.images] == ["new", "new"]
    assert len(names_in(site.path / "target")) == 2


def test_volumes_are_imported_one_after_the_other(site: Site, volumes):
    first, second = volumes
    with pytest.raises(VolumesOwedError) as caught:
        import_(site, first)
    assert caught.value.owed == (2,)
    blobs = {path.name for path in (site.path / "target").glob("blobs/sha256/*")}
    assert blobs
    assert not (site.path / "target/index.json").exists()
    report = import_(site, second)
    assert [result.state for result in report.images] == ["new", "new"]
    pushed = report.totals.pushed.blobs
    assert 0 < pushed < 6  # the layers of the first volume are not sent again
    assert len(names_in(site.path / "target")) == 2


def test_last_volume_first_publishes_nothing_until_the_other_has_come(site: Site, volumes):
    first, second = volumes
    with pytest.raises(VolumesOwedError) as caught:
        import_(site, second)
    assert caught.value.owed == (1,)
    assert not (site.path / "target/index.json").exists()
    assert len(import_(site, first).images) == 2
    assert len(names_in(site.path / "target")) == 2


def test_interrupted_export_continues_under_the_same_plan(site: Site, volumes):
    first, second = volumes
    plan = (first / "plan.json").read_bytes()
    inventory = (second / "bundle.json").read_bytes()
    for path in ("bundle.json", "SHA256SUMS", "VOLUME-2.sha256"):
        (second / path).unlink()
    layer = max(second.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size)
    layer.unlink()
    with pytest.raises(NotFoundError):
        VolumeFiles(volumes)
    export(site)
    assert (first / "plan.json").read_bytes() == plan
    assert (second / "bundle.json").read_bytes() == inventory
    assert layer.exists()
    check(first, second).check()


def test_too_small_volumes_are_reported_before_the_first_byte(site: Site):
    with pytest.raises(NoSpaceError):
        export(site, volume_size=OVERHEAD + 300_000)
    assert not (site.path / "v1").exists()


def test_one_volume_suffices_if_it_has_room(site: Site):
    report = export(site, volume_size=None)
    assert report.volumes == {1: str(site.path / "v1")}
    assert not (site.path / "v2").exists()
    check(site.path / "v1").check()
    assert len(import_(site, site.path / "v1").images) == 2


def test_volume_of_another_bundle_is_refused(site: Site, volumes):
    first, second = volumes
    stranger = Site(site.path / "o", (site.layout, site.images))
    stranger.path.mkdir()
    export(stranger, stream="other")
    for foreign in (stranger.path / "v2", stranger.path / "v1"):
        with pytest.raises(UsageError, match="another bundle"):
            VolumeFiles((first, foreign))
        with pytest.raises(UsageError, match="another bundle"):
            import_(site, foreign, second)
    stranger.bundle = second
    with pytest.raises(ConflictError):
        stranger.export(
            stranger.request(), stream="third", volumes=(site.path / "n",), volume_size=SIZE
        )


def test_repeated_volume_and_other_directories_are_refused(site: Site, volumes):
    first, _ = volumes
    copy = shutil.copytree(first, site.path / "copy")
    with pytest.raises(UsageError, match="again"):
        VolumeFiles((first, copy))
    (site.path / "empty").mkdir()
    with pytest.raises(UsageError, match="not a volume"):
        VolumeFiles((first, site.path / "empty"))


@pytest.mark.parametrize("damage", ["bit", "missing", "sums", "contents", "surplus", "renamed"])
def test_damage_of_a_volume_is_found_and_named(site: Site, volumes, damage: str):
    first, second = volumes
    layer = max(first.glob("blobs/sha256/*"), key=lambda path: path.stat().st_size)
    damaged = {
        "bit": f"blobs/sha256/{layer.name}",
        "missing": f"blobs/sha256/{layer.name}",
        "sums": "VOLUME-1.sha256",
        "contents": "CONTENTS",
        "surplus": "blobs/sha256/run.sh",
        "renamed": "VOLUME-2.sha256",
    }[damage]
    if damage == "bit":
        flip_bit(layer)
    elif damage == "missing":
        layer.unlink()
    elif damage == "surplus":
        (first / damaged).write_text("x")
    elif damage == "renamed":
        (first / "VOLUME-1.sha256").rename(first / damaged)
    else:
        flip_bit(first / damaged)
    [verified] = check(first).volumes
    assert damaged in {finding.path for finding in verified.findings}
    with pytest.raises(DamagedBundleError):
        check(first).check()
    if damage in ("bit", "missing"):
        with pytest.raises((IntegrityError, VolumesOwedError)):
            import_(site, first, second)
        assert not (site.path / "target/index.json").exists()


def test_plan_must_be_signed_by_a_trusted_key(site: Site, volumes):
    first, second = volumes
    stranger = TrustedKeys.create([keys.generate_key().public])
    assert isinstance(check(first, trust=stranger).trust_error, TrustError)
    with pytest.raises(TrustError):
        import_(site, first, trusted=stranger.keys)
    for volume in volumes:
        plan = json.loads((volume / "plan.json").read_bytes())
        plan["serial"] += 1
        (volume / "plan.json").write_text(json.dumps(plan))
    assert isinstance(check(first).trust_error, InvalidSignatureError)
    with pytest.raises(InvalidSignatureError):
        import_(site, first)
    assert not (site.path / "target").exists()
    assert second.exists()


def find_missing(site: Site, volume: Path) -> list[int]:
    request = ImportRequest(
        volume, parse_target(f"oci:{site.path / 'target'}"), site.options, TRUST
    )
    with ThreadPoolExecutor(2) as executor, VolumeFiles((volume,)) as files:
        missing = find_owed(request, files, EngineOptions(executor))
        return sorted({item.volume for item in missing})


def test_lost_volume_is_requested_and_written_again(site: Site, volumes):
    first, second = volumes
    assert find_missing(site, first) == [1, 2]
    with pytest.raises(VolumesOwedError):
        import_(site, first)
    assert find_missing(site, first) == [2]
    with VolumeFiles((first,)) as files:
        raw = ResendRequest.create(files, [2]).to_bytes()
    kept = (second / "bundle.json").read_bytes()
    shutil.rmtree(second)
    resend = ResendRequest.parse(raw, "owed.json")
    requests = [site.request(), site.request(OTHER, "other")]
    site.bundle = site.path / "again"
    report = site.export(*requests, resend=resend)
    assert report.volumes == {2: str(site.path / "again")}
    assert (site.path / "again/bundle.json").read_bytes() == kept
    check(first, site.path / "again").check()
    assert len(import_(site, site.path / "again").images) == 2
    assert find_missing(site, first) == []


def test_request_for_other_content_is_refused(site: Site, volumes):
    first, _ = volumes
    with VolumeFiles((first,)) as files:
        request = ResendRequest.create(files, [1, 2])
    one = replace(request, volumes=(1,))
    site.bundle = site.path / "again"
    both = [site.request(), site.request(OTHER, "other")]
    with pytest.raises(UsageError):
        site.export(*both, resend=request)  # two volumes, one directory
    with pytest.raises(ConflictError):
        site.export(both[0], resend=one)
    with pytest.raises(UnauthenticatedError):
        site.export(*both, resend=one, keys=(keys.generate_key(),))
    changed = request.raw_plan.replace(b'"serial":', b'"serial":1')
    with pytest.raises(InvalidSignatureError):
        site.export(*both, resend=replace(one, raw_plan=changed))
    with pytest.raises(MalformedError):
        site.export(*both, resend=replace(request, volumes=(3,)))
    assert not site.bundle.exists()
    for raw in (b"{}", b"x", request.to_bytes().replace(b"resend/v1", b"resend/v2")):
        with pytest.raises(MalformedError):
            ResendRequest.parse(raw, "owed.json")
