"""``airbundle sbom``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

APK = "lib/apk/db/installed"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    layer = tars.layer(tars.member(APK, b"P:one\nV:1.0-r0\n"))
    return images.write_layout(tmp_path / "layout", {"a": images.image(layer)})


@pytest.mark.parametrize(
    ("sbom_format", "member", "value"),
    [("cyclonedx", "bomFormat", "CycloneDX"), ("spdx", "spdxVersion", "SPDX-2.3")],
)
def test_sbom_is_written_to_a_file(
    run_airbundle: RunAirbundle, layout: Path, sbom_format: str, member: str, value: str
):
    result = run_airbundle("sbom", "oci:layout", "--format", sbom_format, "-o", "sbom.json")
    assert (result.status, result.stdout, result.stderr) == (0, "", "")
    assert json.loads((layout.parent / "sbom.json").read_text())[member] == value


def test_sbom_is_printed(run_airbundle: RunAirbundle, layout: Path):
    assert layout.is_dir()
    document = json.loads(run_airbundle("sbom", "oci:layout").stdout)
    assert [item["purl"] for item in document["components"]] == ["pkg:apk/alpine/one@1.0-r0"]


def test_incomplete_sbom_is_written_and_reported(run_airbundle: RunAirbundle, tmp_path: Path):
    layer = tars.layer(tars.member(APK, b"garbage"))
    images.write_layout(tmp_path / "layout", {"a": images.image(layer)})
    result = run_airbundle("sbom", "oci:layout", "-o", "sbom.json")
    assert result.status == 12
    assert json.loads((tmp_path / "sbom.json").read_text())["components"] == []
