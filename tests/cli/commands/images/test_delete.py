"""``airbundle delete``: what goes, and what stays."""

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


def held(layout: Path) -> set[str]:
    return {f"sha256:{path.name}" for path in layout.glob("blobs/sha256/*")}


def test_a_layout_loses_what_no_other_image_needs(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    outcome = run_airbundle("delete", f"oci:{layout}:two")
    assert (outcome.status, outcome.stdout) == (0, f"oci:{layout}:two {TWO.digest}\n")
    assert held(layout) == set(ONE.contents())
    assert run_airbundle("copy", f"oci:{layout}:one", "oci:out:one").status == 0


def test_an_image_with_another_name_stays(run_airbundle: RunAirbundle, layout: Path) -> None:
    assert run_airbundle("delete", f"oci:{layout}:one").status == 0
    assert held(layout) == set(ONE.contents()) | set(TWO.contents())
    assert run_airbundle("delete", f"oci:{layout}:one").status == 9
    assert run_airbundle("delete", f"oci:{layout}:uno").status == 0
    assert held(layout) == set(TWO.contents())


def test_the_only_image_needs_no_name(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    layout = images.write_layout(tmp_path / "single", {"one": ONE, "uno": ONE})
    assert run_airbundle("delete", f"oci:{layout}").status == 0
    assert held(layout) == set()
    assert json.loads((layout / "index.json").read_bytes())["manifests"] == []


def test_several_images_need_a_name(run_airbundle: RunAirbundle, layout: Path) -> None:
    outcome = run_airbundle("delete", f"oci:{layout}")
    assert (outcome.status, outcome.stdout) == (9, "")
    assert held(layout) == set(ONE.contents()) | set(TWO.contents())


def test_a_damaged_image_can_be_deleted(run_airbundle: RunAirbundle, layout: Path) -> None:
    (layout / "blobs/sha256" / TWO.digest[7:]).write_bytes(b"{")
    assert run_airbundle("delete", f"oci:{layout}:two").status == 0
    assert TWO.digest not in held(layout)
    assert set(ONE.contents()) <= held(layout)


def test_nothing_goes_while_a_manifest_that_stays_cannot_be_read(
    run_airbundle: RunAirbundle, layout: Path
) -> None:
    before = held(layout)
    (layout / "blobs/sha256" / ONE.digest[7:]).write_bytes(b"{")
    assert run_airbundle("delete", f"oci:{layout}:two").status == 3
    assert held(layout) == before
    assert b'"two"' in (layout / "index.json").read_bytes()


def test_no_layout_is_made_to_delete_from_it(run_airbundle: RunAirbundle, tmp_path: Path) -> None:
    assert run_airbundle("delete", "oci:missing:one").status == 9
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("place", ["dir:some", "oci-archive:some.tar", "docker-archive:x.tar"])
def test_other_places_cannot_delete(
    run_airbundle: RunAirbundle, tmp_path: Path, place: str
) -> None:
    outcome = run_airbundle("delete", place)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert not list(tmp_path.glob("*some*"))


def test_a_registry_forgets_the_image_with_all_its_tags(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    place = f"docker://{registry.host}/app:1"
    outcome = run_airbundle("delete", "--json", "--tls-verify=false", place)
    said = {"reference": place, "digest": ONE.digest, "tagOnly": False}
    assert json.loads(outcome.stdout) == said
    assert registry.repository("app").tags == {"2": TWO.digest}


def test_a_tag_alone_can_go(run_airbundle: RunAirbundle, registry: FakeRegistry) -> None:
    place = f"docker://{registry.host}/app:1"
    assert run_airbundle("delete", "--tag-only", "--tls-verify=false", place).status == 0
    assert registry.repository("app").tags == {"one": ONE.digest, "2": TWO.digest}
    assert ONE.digest in registry.repository("app").manifests


@pytest.mark.parametrize("status", [400, 405])
def test_a_registry_that_deletes_no_tags_keeps_the_image(
    run_airbundle: RunAirbundle, registry: FakeRegistry, status: int
) -> None:
    registry.fail("DELETE", "/manifests/1", status=status)
    place = f"docker://{registry.host}/app:1"
    outcome = run_airbundle("delete", "--tag-only", "--tls-verify=false", place)
    assert (outcome.status, outcome.stdout) == (1, "")
    assert "tag alone" in outcome.stderr
    assert registry.repository("app").tags["1"] == ONE.digest


@pytest.mark.parametrize("options", [[], ["--tag-only"]])
def test_a_tag_must_stand_for_the_digest_beside_it(
    run_airbundle: RunAirbundle, registry: FakeRegistry, options: list[str]
) -> None:
    place = f"docker://{registry.host}/app:1@{TWO.digest}"
    assert run_airbundle("delete", *options, "--tls-verify=false", place).status == 10
    assert registry.count("DELETE") == 0


def test_tag_only_needs_a_tag(run_airbundle: RunAirbundle, registry: FakeRegistry) -> None:
    place = f"docker://{registry.host}/app@{ONE.digest}"
    assert run_airbundle("delete", "--tag-only", "--tls-verify=false", place).status == 2
    assert run_airbundle("delete", "--tag-only", "oci:x:y").status == 1
    assert registry.count("DELETE") == 0


def test_a_registry_that_does_not_delete_says_how_to_allow_it(
    run_airbundle: RunAirbundle, registry: FakeRegistry
) -> None:
    registry.fail("DELETE", "/manifests/", status=405)
    place = f"docker://{registry.host}/app:1"
    outcome = run_airbundle("delete", "--tls-verify=false", place)
    assert outcome.status == 1
    assert "hint: deletion has to be enabled" in outcome.stderr
