"""``--cache`` and ``--no-cache``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import images, tars

RULES = """
rules:
  no-set-uid-files: error
  layers-match-config: error
  forbidden-packages: {packages: [two]}
"""
GOOD = tars.layer(tars.member("lib/apk/db/installed", b"P:one\nV:1\n\nP:two\nV:2\n"))
BAD = images.Layer(GOOD.blob, images.sha256(b"other"))
"""The same layer, in an image whose config states another diff ID."""


@pytest.fixture
def layout(tmp_path):
    upper = tars.layer(tars.member("bin/su", mode=0o4755))
    (tmp_path / "gate.yaml").write_text(RULES)
    named = {"good:1": images.image(GOOD, upper), "bad:1": images.image(BAD)}
    return f"oci:{images.write_layout(tmp_path / 'layout', named)}"


def list_kept(hermetic_environment):
    directory = Path(hermetic_environment["HOME"]) / ".cache/airbundle/layers"
    return sorted(directory.iterdir()) if directory.exists() else []


def test_findings_are_the_same_with_kept_contents(
    layout, tmp_path, run_airbundle, hermetic_environment
):
    command = ("audit", layout, "--rules", tmp_path / "gate.yaml")
    without = run_airbundle(*command, "--no-cache")
    assert not list_kept(hermetic_environment)
    results = [run_airbundle(*command) for _ in range(2)]
    assert len(list_kept(hermetic_environment)) == 2
    for result in results:
        assert (result.status, result.stdout) == (12, without.stdout)
    for rule in ("no-set-uid-files", "layers-match-config", "forbidden-packages"):
        assert rule in without.stdout


def test_damaged_layer_is_found_although_its_contents_are_kept(layout, tmp_path, run_airbundle):
    command = ("packages", f"{layout}:good:1")
    assert run_airbundle(*command).status == 0
    blob = tmp_path / "layout/blobs/sha256" / GOOD.blob.digest.removeprefix("sha256:")
    blob.write_bytes(GOOD.blob.data[:-1] + b"?")
    assert run_airbundle(*command).status == 3


def test_directory_is_specified(layout, tmp_path, run_airbundle, hermetic_environment):
    chosen = tmp_path / "chosen"
    assert run_airbundle("packages", f"{layout}:good:1", "--cache", chosen).status == 0
    assert len(list(chosen.iterdir())) == 2
    assert not list_kept(hermetic_environment)
    assert run_airbundle("packages", layout, "--cache", chosen, "--no-cache").status == 2


def test_unsafe_directory_is_refused_if_specified_and_skipped_otherwise(
    layout, tmp_path, run_airbundle
):
    unsafe = tmp_path / "cache/airbundle/layers"
    unsafe.mkdir(parents=True)
    unsafe.chmod(0o777)
    assert run_airbundle("packages", layout, "--cache", unsafe).status == 2
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = run_airbundle("packages", f"{layout}:good:1", env=environment)
    assert result.status == 0
    assert "not used as a cache" in result.stderr
    assert not list(unsafe.iterdir())


def test_search_uses_kept_contents(layout, run_airbundle, hermetic_environment):
    found = [run_airbundle("find", layout, "--package", "two") for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].status == 0
    assert len(list_kept(hermetic_environment)) == 2


def test_files_are_the_same_with_kept_listings(layout, run_airbundle, hermetic_environment):
    image = f"{layout}:good:1"
    commands = (
        ("files", image, "--all-layers"),
        ("cat", image, "bin/su"),
        ("find", image, "--file", "*"),
    )
    without = [run_airbundle(*command, "--no-cache") for command in commands]
    assert not list_kept(hermetic_environment)
    for _ in range(2):
        assert [run_airbundle(*command) for command in commands] == without
    kept = list_kept(hermetic_environment)
    assert [path.suffix for path in kept] == [".list", ".list"]
    for path in kept:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert [run_airbundle(*command) for command in commands] == without


def test_damaged_layer_is_found_although_its_listing_is_kept(layout, tmp_path, run_airbundle):
    command = ("files", f"{layout}:good:1")
    assert run_airbundle(*command).status == 0
    blob = tmp_path / "layout/blobs/sha256" / GOOD.blob.digest.removeprefix("sha256:")
    blob.write_bytes(GOOD.blob.data[:-1] + b"?")
    result = run_airbundle(*command)
    assert (result.status, GOOD.blob.digest in result.stderr) == (3, True)
