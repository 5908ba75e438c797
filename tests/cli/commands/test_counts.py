"""Counts of blobs and bytes, which are the same in every report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

SHARED = images.layer({"shared": b"shared " * 100})
MANIFEST = "name: ward\nimages: ['oci:./layout:web:1', 'oci:./layout:web:2']\n"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as registry:
        yield registry


@pytest.fixture(autouse=True)
def work_dir(tmp_path: Path) -> Path:
    """A directory with a layout of two images that share a layer: five blobs."""
    own = [images.layer({"own": text * 100}) for text in (b"one ", b"two ")]
    named = {f"web:{n}": images.image(SHARED, layer) for n, layer in enumerate(own, 1)}
    images.write_layout(tmp_path / "layout", named)
    (tmp_path / "ward.yaml").write_text(MANIFEST)
    return tmp_path


def find_totals(text: str) -> list[str]:
    """Return the totals in ``text``, each as a size and a number of blobs."""
    return re.findall(r"[\d.]+ [KM]?i?B in \d+ blobs?", text)


def test_plan_export_and_list_have_the_same_counts(run_airbundle: RunAirbundle):
    plan = run_airbundle("plan", "ward.yaml")
    export = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    listing = run_airbundle("ls", "stick")
    (total,) = find_totals(export.stdout)
    assert total.endswith("in 5 blobs")
    assert find_totals(plan.stdout) == [total, total]
    assert find_totals(listing.stderr) == [total]
    contents = json.loads(run_airbundle("ls", "stick", "--json").stdout)
    again = json.loads(run_airbundle("plan", "ward.yaml", "stick", "--json").stdout)
    assert (contents["size"], contents["blobs"]) == (again["size"], again["blobs"])
    assert again["present"] == contents["size"]


def test_reports_of_import_have_the_same_counts(
    work_dir: Path, run_airbundle: RunAirbundle, registry: FakeRegistry
):
    """In the second repository, the shared layer is mounted."""
    second = "{ref: 'oci:./layout:web:2', rename: 'other:2'}"
    (work_dir / "ward.yaml").write_text(MANIFEST.replace("'oci:./layout:web:2'", second))
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", f"docker://{registry.host}", "--allow-unsigned", "--reason", "t")
    options = ("--tls-verify=false", "--receipt", "receipt.json")
    for reuse in ("; mounted: ", "; already present: "):
        result = run_airbundle(*command, *options)
        assert result.status == 0, result.stderr
        (line,) = re.findall(r"^pushed: .*", result.stdout, re.MULTILINE)
        assert reuse in line
        assert line.partition(";")[2] in result.stderr
        assert sum(int(total.split()[3]) for total in find_totals(line)) == 6
    assert json.loads((work_dir / "receipt.json").read_text())["bytes"]["pushed"] == 0


@pytest.mark.parametrize("kind", ["docker", "oci", "dir"])
def test_second_sync_reports_present_images_and_blobs(
    run_airbundle: RunAirbundle, registry: FakeRegistry, kind: str
):
    destination = f"{registry.host}/copies" if kind == "docker" else "copies"
    command = ("sync", "--src", "oci", "--dest", kind, "layout", destination, "--json")
    options = ("--dest-tls-verify=false",) if kind == "docker" else ()
    first = json.loads(run_airbundle(*command, *options).stdout)
    assert {image["state"] for image in first["images"]} == {"copied"}
    second = json.loads(run_airbundle(*command, *options).stdout)
    assert {image["state"] for image in second["images"]} == {"present"}
    assert second["moved"] == {"blobs": 0, "bytes": 0}
    assert second["present"] == {
        key: first["moved"][key] + first["present"][key] for key in ("blobs", "bytes")
    }


def test_sync_counts_repository_that_cannot_be_listed(
    work_dir: Path, run_airbundle: RunAirbundle, registry: FakeRegistry
):
    registry.add_image("a", "1")
    text = f"{registry.host}: {{tls-verify: false, images: {{a: ['1', '2'], none: []}}}}\n"
    (work_dir / "list.yaml").write_text(text)
    result = run_airbundle(
        "sync", "--src", "yaml", "--dest", "dir", "list.yaml", "out", "--keep-going"
    )
    assert result.status == 11
    expected = "1 of 2 images is at the destination; 1 source is not listed\n"
    assert expected in result.stderr
    assert re.search(rf"{registry.host}/none +- +not listed", result.stdout)
