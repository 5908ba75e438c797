"""``airbundle list-tags``: one JSON document, whatever the place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

TWO_TAGS = """\
{
    "Repository": "%s",
    "Tags": [
        "1",
        "2"
    ]
}
"""


def test_a_repository(run_airbundle: RunAirbundle) -> None:
    with FakeRegistry(page_size=1) as registry:
        images.push(registry.host, "some/app", images.image(), "2", "1")
        place = f"docker://{registry.host}/some/app"
        outcome = run_airbundle("list-tags", "--tls-verify=false", place)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert outcome.stdout == TWO_TAGS % f"{registry.host}/some/app"


@pytest.mark.parametrize("image", [":1", "@sha256:" + "0" * 64])
def test_a_single_image_is_refused(run_airbundle: RunAirbundle, image: str) -> None:
    outcome = run_airbundle("list-tags", f"docker://127.0.0.1:1/some/app{image}")
    assert (outcome.status, outcome.stdout) == (2, "")
    assert "hint: remove the tag or digest: docker://127.0.0.1:1/some/app\n" in outcome.stderr


def test_a_layout_and_an_archive_of_one(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    images.write_layout(tmp_path / "in", {"b": images.image(), "a": images.image()})
    run_airbundle("copy", "oci:in:b", "oci-archive:in.tar:b")
    listed = run_airbundle("list-tags", "oci:in").stdout
    assert listed == '{\n    "Tags": [\n        "b",\n        "a"\n    ]\n}\n'
    assert run_airbundle("list-tags", "oci-archive:in.tar").stdout == listed.replace(
        '"b",\n        "a"', '"b"'
    )


def test_images_without_names_cannot_be_listed(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    images.write_layout(tmp_path / "in", {"a": images.image()})
    run_airbundle("copy", "oci:in:a", "dir:d")
    outcome = run_airbundle("list-tags", "dir:d")
    assert (outcome.status, outcome.stdout) == (1, "")
    assert "no names to list" in outcome.stderr


def test_a_repository_that_is_not_there(run_airbundle: RunAirbundle) -> None:
    with FakeRegistry() as registry:
        registry.fail("GET", "/tags/list", status=404)
        place = f"docker://{registry.host}/some/app"
        outcome = run_airbundle("list-tags", "--tls-verify=false", place)
    assert (outcome.status, outcome.stdout) == (9, "")
