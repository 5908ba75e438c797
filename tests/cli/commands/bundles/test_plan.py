"""``airbundle plan`` and ``export --dry-run``: warnings about the destination."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry, descriptor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.mark.parametrize("command", [("plan",), ("export", "--dry-run")])
def test_plan_warns_if_export_would_refuse_directory(
    work_dir: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    name, *flags = command
    result = run_airbundle(name, "ward.yaml", "media/stick", *flags)
    assert result.status == 0, result.stderr
    assert "warning: the export would be refused: " in result.stderr
    assert "media: no such directory" in result.stderr
    value = json.loads(run_airbundle(name, "ward.yaml", "media/stick", *flags, "--json").stdout)
    assert "no such directory" in value["refusal"]["message"]
    assert "--parents" in value["refusal"]["hint"]
    assert not (work_dir / "media").exists()


def test_plan_does_not_warn_if_export_is_possible(work_dir: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("plan", "ward.yaml", "stick", "--json")
    assert "would be refused" not in result.stderr
    value = json.loads(result.stdout)
    assert value["refusal"] is None
    assert value["room"]["device"]
    dry_run = ("export", "ward.yaml", "media/stick", "--dry-run", "--parents")
    assert "would be refused" not in run_airbundle(*dry_run).stderr


@pytest.mark.parametrize("command", [("plan",), ("export", "stick", "--unsigned")])
@pytest.mark.parametrize("index", ["strip", "sparse"])
@pytest.mark.parametrize("is_index", [True, False])
def test_missing_platforms_are_reported(
    work_dir: Path,
    run_airbundle: RunAirbundle,
    command: tuple[str, ...],
    index: str,
    is_index: bool,
):
    """The rule is the same for an index and for a single image."""
    name, *arguments = command
    with FakeRegistry() as registry:
        digest = registry.add_image("app", None if is_index else "1")
        if is_index:
            entry = descriptor(OCI_MANIFEST, registry.repository("app").manifests[digest][1])
            entry["platform"] = {"os": "linux", "architecture": "amd64"}
            raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]})
            registry.add_manifest("app", "1", raw.encode(), OCI_INDEX)
        reference = f"{registry.host}/app:1"
        (work_dir / "two.yaml").write_text(
            f"images: [{{ref: '{reference}', platforms: [linux/amd64, linux/arm64],"
            f" index: {index}}}]\n"
        )
        options = (*arguments, "--tls-verify=false")
        shown = run_airbundle(name, "two.yaml", *options)
        result = run_airbundle(name, "two.yaml", *options, "--json")
    assert result.status == 0, result.stderr
    assert f"not available: {reference}: linux/arm64\n" in shown.stdout
    expected = [{"reference": reference, "platforms": ["linux/arm64"]}]
    assert json.loads(result.stdout)["missingPlatforms"] == expected


@pytest.mark.parametrize("command", [("plan",), ("export", "--dry-run")])
def test_plan_warns_if_directory_contains_another_stream(
    work_dir: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    assert run_airbundle("export", "ward.yaml", "stick", "--unsigned").status == 0
    (work_dir / "other.yaml").write_text("name: other\nimages: ['oci:./layout:web:1']\n")
    name, *flags = command
    result = run_airbundle(name, "other.yaml", "stick", *flags)
    assert result.status == 0, result.stderr
    assert "would be refused: stick: contains a bundle of another stream" in result.stderr


def test_plan_with_missing_images_ends_as_export_does(work_dir: Path, run_airbundle: RunAirbundle):
    (work_dir / "gap.yaml").write_text(
        "name: gap\nimages: ['oci:./layout:web:1', 'oci:./layout:none:1']\n"
    )
    for command in (("plan", "gap.yaml"), ("export", "gap.yaml", "stick", "--dry-run")):
        result = run_airbundle(*command, "--keep-going")
        assert result.status == 11
        assert "localhost/web:1" in result.stdout
        assert "none:1" in result.stderr


def test_plan_shows_renamed_images(work_dir: Path, run_airbundle: RunAirbundle):
    (work_dir / "named.yaml").write_text(
        "name: named\nimages: [{ref: 'oci:./layout:web:1', rename: 'pages:1'}]\n"
    )
    result = run_airbundle("plan", "named.yaml")
    assert "RENAME\n" in result.stdout
    assert "  pages:1\n" in result.stdout
