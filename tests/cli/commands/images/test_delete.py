"""``airbundle delete``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

BASE = images.layer({"base": b"b" * 1000})
ONE = images.image(BASE, images.layer({"one": b"1"}))
TWO = images.multi_platform("two", "linux/amd64", "linux/arm64", shared=BASE)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return images.write_layout(tmp_path / "in", {"one": ONE, "uno": ONE, "two": TWO})


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        images.push(running.host, "app", ONE, "1", "one")
        images.push(running.host, "app", TWO, "2")
        yield running


def stored_blobs(layout: Path) -> set[str]:
    return {f"sha256:{path.name}" for path in layout.glob("blobs/sha256/*")}


def test_delete_removes_blobs_that_no_other_image_needs(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    result = run_airbundle("delete", f"oci:{layout}:two")
    assert (result.status, result.stdout) == (0, f"oci:{layout}:two {TWO.digest}\n")
    assert stored_blobs(layout) == set(ONE.contents())
    assert run_airbundle("copy", f"oci:{layout}:one", "oci:out:one").status == 0


def test_delete_keeps_image_with_another_name(run_airbundle: RunAirbundle, layout: Path) -> None:
    assert run_airbundle("delete", f"oci:{layout}:one").status == 0
    assert stored_blobs(layout) == set(ONE.contents()) | set(TWO.contents())
    assert run_airbundle("delete", f"oci:{layout}:one").status == 9
    assert run_airbundle("delete", f"oci:{layout}:uno").status == 0
    assert stored_blobs(layout) == set(TWO.contents())


def test_delete_of_only_image_needs_no_name(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    layout = images.write_layout(tmp_path / "single", {"one": ONE, "uno": ONE})
    assert run_airbundle("delete", f"oci:{layout}").status == 0
    assert stored_blobs(layout) == set()
    assert json.loads((layout / "index.json").read_bytes())["manifests"] == []


def test_delete_from_several_images_needs_name(run_airbundle: RunAirbundle, layout: Path) -> None:
    result = run_airbundle("delete", f"oci:{layout}")
    assert (result.status, result.stdout) == (9, "")
    assert stored_blobs(layout) == set(ONE.contents()) | set(TWO.contents())


def test_delete_removes_damaged_image(run_airbundle: RunAirbundle, layout: Path) -> None:
    (layout / "blobs/sha256" / TWO.digest[7:]).write_bytes(b"{")
    assert run_airbundle("delete", f"oci:{layout}:two").status == 0
    assert TWO.digest not in stored_blobs(layout)
    assert set(ONE.contents()) <= stored_blobs(layout)


def test_delete_is_refused_while_other_manifest_is_damaged(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    before = stored_blobs(layout)
    (layout / "blobs/sha256" / ONE.digest[7:]).write_bytes(b"{")
    assert run_airbundle("delete", f"oci:{layout}:two").status == 3
    assert stored_blobs(layout) == before
    assert b'"two"' in (layout / "index.json").read_bytes()


def test_delete_does_not_create_missing_layout(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    assert run_airbundle("delete", "oci:missing:one").status == 9
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("reference", ["dir:some", "oci-archive:some.tar", "docker-archive:x.tar"])
def test_delete_is_refused_by_transports_without_deletion(
    run_airbundle: RunAirbundle, tmp_path: Path, reference: str
) -> None:
    result = run_airbundle("delete", reference)
    assert (result.status, result.stdout) == (1, "")
    assert not list(tmp_path.glob("*some*"))


def test_delete_removes_all_tags_of_image_from_registry(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    reference = f"docker://{registry.host}/app:1"
    result = run_airbundle("delete", "--json", "--tls-verify=false", reference)
    report = {"reference": reference, "digest": ONE.digest, "tagOnly": False}
    assert json.loads(result.stdout) == report
    assert registry.repository("app").tags == {"2": TWO.digest}


def test_tag_only_keeps_image(run_airbundle: RunAirbundle, registry: FakeRegistry) -> None:
    reference = f"docker://{registry.host}/app:1"
    assert run_airbundle("delete", "--tag-only", "--tls-verify=false", reference).status == 0
    assert registry.repository("app").tags == {"one": ONE.digest, "2": TWO.digest}
    assert ONE.digest in registry.repository("app").manifests


@pytest.mark.parametrize("status", [400, 405])
def test_tag_only_fails_if_registry_deletes_no_tags(
    run_airbundle: RunAirbundle, registry: FakeRegistry, status: int
) -> None:
    registry.fail("DELETE", "/manifests/1", status=status)
    reference = f"docker://{registry.host}/app:1"
    result = run_airbundle("delete", "--tag-only", "--tls-verify=false", reference)
    assert (result.status, result.stdout) == (1, "")
    assert "single tag" in result.stderr
    assert registry.repository("app").tags["1"] == ONE.digest


@pytest.mark.parametrize("options", [[], ["--tag-only"]])
def test_delete_refuses_tag_of_different_digest(
    run_airbundle: RunAirbundle, registry: FakeRegistry, options: list[str]
) -> None:
    reference = f"docker://{registry.host}/app:1@{TWO.digest}"
    assert run_airbundle("delete", *options, "--tls-verify=false", reference).status == 10
    assert registry.count("DELETE") == 0


def test_tag_only_needs_tag(run_airbundle: RunAirbundle, registry: FakeRegistry) -> None:
    reference = f"docker://{registry.host}/app@{ONE.digest}"
    assert run_airbundle("delete", "--tag-only", "--tls-verify=false", reference).status == 2
    assert run_airbundle("delete", "--tag-only", "oci:x:y").status == 1
    assert registry.count("DELETE") == 0


def test_delete_suggests_how_to_enable_deletion(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    registry.fail("DELETE", "/manifests/", status=405)
    reference = f"docker://{registry.host}/app:1"
    result = run_airbundle("delete", "--tls-verify=false", reference)
    assert result.status == 1
    assert "hint: enable deletion" in result.stderr


def test_delete_prints_the_complete_reference(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    images.push(registry.host, "app", ONE, "latest")
    result = run_airbundle("delete", f"docker://{registry.host}/app", "--tls-verify=false")
    assert result.stdout == f"docker://{registry.host}/app:latest {ONE.digest}\n"
