"""``airbundle list-tags`` prints one JSON document."""

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


def test_list_tags_of_repository_reads_all_pages(run_airbundle: RunAirbundle) -> None:
    with FakeRegistry(page_size=1) as registry:
        images.push(registry.host, "some/app", images.image(), "2", "1")
        reference = f"docker://{registry.host}/some/app"
        result = run_airbundle("list-tags", "--tls-verify=false", reference)
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout == TWO_TAGS % f"{registry.host}/some/app"


@pytest.mark.parametrize("image", [":1", "@sha256:" + "0" * 64])
def test_list_tags_refuses_tag_and_digest(run_airbundle: RunAirbundle, image: str) -> None:
    result = run_airbundle("list-tags", f"docker://127.0.0.1:1/some/app{image}")
    assert (result.status, result.stdout) == (2, "")
    assert "hint: remove the tag or digest: docker://127.0.0.1:1/some/app\n" in result.stderr


def test_list_tags_of_layout_and_archive(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    images.write_layout(tmp_path / "in", {"b": images.image(), "a": images.image()})
    run_airbundle("copy", "oci:in:b", "oci-archive:in.tar:b")
    listed = run_airbundle("list-tags", "oci:in").stdout
    assert listed == '{\n    "Tags": [\n        "b",\n        "a"\n    ]\n}\n'
    assert run_airbundle("list-tags", "oci-archive:in.tar").stdout == listed.replace(
        '"b",\n        "a"', '"b"'
    )


def test_list_tags_refuses_transport_without_names(
    run_airbundle: RunAirbundle, tmp_path: Path
) -> None:
    images.write_layout(tmp_path / "in", {"a": images.image()})
    run_airbundle("copy", "oci:in:a", "dir:d")
    result = run_airbundle("list-tags", "dir:d")
    assert (result.status, result.stdout) == (1, "")
    assert "transport dir cannot list names" in result.stderr


def test_list_tags_of_missing_repository_has_status_9(run_airbundle: RunAirbundle) -> None:
    with FakeRegistry() as registry:
        registry.fail("GET", "/tags/list", status=404)
        reference = f"docker://{registry.host}/some/app"
        result = run_airbundle("list-tags", "--tls-verify=false", reference)
    assert (result.status, result.stdout) == (9, "")
