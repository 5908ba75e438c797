"""Bundles on a medium whose files are smaller than their blobs."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.listings.list_contents import list_bundle
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.media.filesystem import PROFILES, MediaProfile, parse_profile
from bundler.bundle.verifying.verify import verify
from bundler.errors import IntegrityError, UsageError
from bundler.oci.digest import Digest
from bundler.trust.bundle_trust import TrustedKeys
from tests.bundle.test_round_trip import APP, KEY, Site, names_in
from tests.fakes import images
from tests.fakes.damage import flip_bit

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 8192
TRUST = TrustedKeys.create([KEY.public])
LARGE_LAYER = images.layer({"large": random.Random(1).randbytes(23_000)})
LARGE = LARGE_LAYER.blob.data


@pytest.fixture
def site(tmp_path: Path) -> Site:
    app = images.image(LARGE_LAYER, images.layer({"own": b"own"}))
    images.write_layout(tmp_path / "layout", {"app": app})
    return Site(tmp_path, (tmp_path / "layout", {"app": app}))


def export(site: Site, **more: object):
    profile = MediaProfile(LIMIT, hard_links=False)
    return site.export(site.request(), **({"media_profile": profile} | more))


def find_parts(site: Site) -> list[Path]:
    blob = site.bundle / "blobs/sha256" / hashlib.sha256(LARGE).hexdigest()
    assert not blob.exists()
    return sorted(blob.parent.glob(f"{blob.name}.*"))


def test_large_blob_is_exported_in_parts_and_imported_whole(site: Site):
    report = export(site)
    parts = find_parts(site)
    assert [part.name[-4:] for part in parts] == [".000", ".001", ".002"]
    assert [part.stat().st_size for part in parts] == [8192, 8192, len(LARGE) - 2 * 8192]
    assert b"".join(part.read_bytes() for part in parts) == LARGE
    sums = (site.bundle / "SHA256SUMS").read_text()
    for part in parts:
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        assert f"{digest}  blobs/sha256/{part.name}\n" in sums
    verified = verify(site.bundle, TRUST)
    assert verified.whole
    assert verified.trust_error is None
    assert not verified.unlisted
    listing = list_bundle(DirectoryFiles(site.bundle), report.inventory)
    assert listing.total.size > len(LARGE)
    target = site.path / "target"
    site.import_(f"oci:{target}")
    [digest] = {*names_in(target).values()}
    assert digest == report.inventory.images[0].digest.text
    assert (target / "blobs/sha256" / parts[0].stem).read_bytes() == LARGE


def test_second_export_keeps_the_parts(site: Site):
    export(site)
    times = [part.stat().st_mtime_ns for part in find_parts(site)]
    assert not export(site).changed
    assert [part.stat().st_mtime_ns for part in find_parts(site)] == times


def test_former_parts_are_removed_once_no_image_needs_them(site: Site):
    export(site)
    assert find_parts(site)
    other = images.image(images.layer({"other": b"other"}))
    images.write_layout(site.path / "other", {"app": other})
    site.layout = site.path / "other"
    assert export(site).changed
    assert not find_parts(site)
    assert verify(site.bundle, TRUST).whole


def test_instructions_join_the_parts(site: Site):
    """The commands of VERIFY.txt make the directory one that skopeo reads."""
    export(site)
    text = (site.bundle / "VERIFY.txt").read_text()
    copy = shutil.copytree(site.bundle, site.path / "copy")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    for ")]
    assert len(lines) == 2
    result = subprocess.run(["bash", "-euc", "\n".join(lines)], cwd=copy, check=True)
    assert result.returncode == 0
    assert (copy / "blobs/sha256" / find_parts(site)[0].stem).read_bytes() == LARGE


@pytest.mark.parametrize("damage", ["bit", "missing", "swapped", "longer", "shorter"])
def test_damaged_part_is_found_and_named(site: Site, damage: str):
    export(site)
    first, second, _ = find_parts(site)
    if damage == "bit":
        flip_bit(second)
    elif damage == "missing":
        second.unlink()
    elif damage == "swapped":
        other = first.read_bytes()
        shutil.copyfile(second, first)
        second.write_bytes(other)
    else:
        data = second.read_bytes()
        second.write_bytes(data + b"x" if damage == "longer" else data[:-1])
    verified = verify(site.bundle, TRUST)
    assert not verified.whole
    found = {finding.path: finding for finding in verified.findings}
    assert {f"blobs/sha256/{second.name}", f"blobs/sha256/{second.stem}"} & found.keys()
    assert all(APP in finding.images for finding in found.values())
    target = site.path / "target"
    with pytest.raises(IntegrityError):
        site.import_(f"oci:{target}")
    assert not (target / "index.json").exists()
    assert export(site).changed  # mended
    assert verify(site.bundle, TRUST).whole


def test_parts_that_are_consistent_with_a_changed_sums_file_are_refused(site: Site):
    """The whole has the digest in its name, whatever SHA256SUMS says of its parts."""
    export(site, keys=())
    parts = find_parts(site)
    before = hashlib.sha256(parts[1].read_bytes()).hexdigest()
    flip_bit(parts[1])
    after = hashlib.sha256(parts[1].read_bytes()).hexdigest()
    sums = site.bundle / "SHA256SUMS"
    former = sums.read_bytes()
    sums.write_bytes(former.replace(before.encode(), after.encode()))
    inventory = site.bundle / "bundle.json"
    raw = inventory.read_bytes().replace(
        Digest.of(former).text.encode(), Digest.of(sums.read_bytes()).text.encode()
    )
    inventory.write_bytes(raw)
    found = {finding.path: finding.code for finding in verify(site.bundle, TRUST).findings}
    assert found == {f"blobs/sha256/{parts[1].stem}": "damaged"}


def test_part_beyond_the_last_one_is_named(site: Site):
    export(site)
    last = find_parts(site)[-1]
    last.with_suffix(".003").write_bytes(b"more")
    verified = verify(site.bundle, TRUST)
    assert not verified.whole


def test_media_profile_is_a_name_or_a_size():
    assert parse_profile("fat32") == PROFILES["fat32"] == MediaProfile(2**32 - 1, hard_links=False)
    assert parse_profile("2GiB").largest_file == 2 << 30
    assert parse_profile("64K").largest_file == 65536
    for text in ("", "fat99", "0", "-1", "1.5GiB"):
        with pytest.raises(UsageError):
            parse_profile(text)
