"""``airbundle export --read-back``: the bundle is read again from its medium."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

LAYER = images.layer({"a": os.urandom(3_000_001)})


@pytest.fixture
def export(tmp_path: Path, run_airbundle: RunAirbundle):
    images.write_layout(tmp_path / "layout", {"a": images.image(LAYER)})
    (tmp_path / "m.yaml").write_text("images: ['oci:./layout:a']\n")
    return lambda *options: run_airbundle("export", "m.yaml", "b", "--unsigned", *options)


def test_bundle_is_read_back_and_recorded(export, run_airbundle, tmp_path):
    result = export("--read-back", "--json")
    assert result.status == 0, result.stderr
    record = json.loads(result.stdout)["readBack"]
    assert record == json.loads((tmp_path / "b/read-back.json").read_text())
    digest = images.sha256((tmp_path / "b/bundle.json").read_bytes())
    assert (record["inventory"], record["files"]) == (digest, 6)
    verified = run_airbundle("verify", "b")
    assert "read back by the exporting side: 20" in verified.stdout
    imported = run_airbundle(
        "import", "b", "oci:in", "--allow-unsigned", "--reason", "test", "--records", "r"
    )
    assert "(not signed)" in imported.stdout


def test_files_of_operating_systems_are_not_in_the_way(export, tmp_path):
    export()
    (tmp_path / "b/.DS_Store").touch()
    result = export("--read-back")
    assert result.status == 0, result.stderr


def test_record_of_a_former_bundle_is_ignored(export, run_airbundle, tmp_path):
    export("--read-back")
    images.write_layout(tmp_path / "other", {"a": images.image()})
    (tmp_path / "m.yaml").write_text("images: ['oci:./other:a']\n")
    assert export().status == 0
    assert json.loads(run_airbundle("verify", "b", "--json").stdout)["readBack"] is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"inventory": 1}', "{" * 1000])
def test_malformed_record_is_ignored(export, run_airbundle, tmp_path, text):
    export()
    (tmp_path / "b/read-back.json").write_text(text)
    verified = run_airbundle("verify", "b", "--json")
    assert verified.status == 4
    assert json.loads(verified.stdout)["readBack"] is None
