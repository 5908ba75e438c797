from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_images_platforms_and_sizes_are_listed(tmp_path: Path, run_airbundle: RunAirbundle):
    bundles.write(tmp_path / "b", expires="2020-01-01T00:00:00Z")
    done = run_airbundle("ls", "b")
    assert done.status == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    assert header.split()[:3] == ["IMAGE", "DIGEST", "PLATFORMS"]
    assert [row.split()[0] for row in rows] == list(bundles.REFERENCES)
    assert "linux/amd64 linux/arm64" in rows[1]
    assert "expired 2020-01-01" in done.stderr
    assert "not signed" in done.stderr


def test_quiet_leaves_the_list_only(tmp_path: Path, run_airbundle: RunAirbundle):
    bundles.write(tmp_path / "b")
    done = run_airbundle("ls", "b", "--quiet")
    assert done.stdout
    assert done.stderr == ""


def test_an_index_that_was_made_smaller_shows_which_one_it_replaces(
    tmp_path: Path, run_airbundle: RunAirbundle
):
    bundles.write(tmp_path / "b")
    assert "REPLACES" not in run_airbundle("ls", "b").stdout
    inventory = json.loads((tmp_path / "b/bundle.json").read_text())
    inventory["images"][1] |= {"index": "strip", "replaces": "sha256:" + "0" * 64}
    (tmp_path / "b/bundle.json").write_text(json.dumps(inventory))
    header, _, row = run_airbundle("ls", "b").stdout.splitlines()
    assert "REPLACES" in header
    assert "sha256:000000000000" in row


def test_machines_get_bytes(tmp_path: Path, run_airbundle: RunAirbundle):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    value = json.loads(run_airbundle("ls", "b", "--json").stdout)
    assert value["stream"] == "plant-7"
    for listed, one in zip(value["images"], named.values(), strict=True):
        assert listed["digest"] == one.digest
        assert listed["size"] == sum(map(len, one.contents().values()))
        assert listed["unique"] + listed["shared"] == listed["size"]


def test_what_is_no_bundle_is_9(tmp_path: Path, run_airbundle: RunAirbundle):
    done = run_airbundle("ls", tmp_path)
    assert done.status == 9
    assert "bundle.json" in done.stderr
