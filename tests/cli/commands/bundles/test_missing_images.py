"""Images of a bundle manifest that do not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

COMMANDS = {"plan": (), "export": ("stick", "--unsigned"), "lock": ()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_missing_image_is_named(tmp_path: Path, run_airbundle: RunAirbundle, command: str):
    with FakeRegistry() as registry:
        registry.add_image("a", "1")
        images = [f"{registry.host}/{name}" for name in ("a:1", "a:2", "b:3")]
        (tmp_path / "ward.yaml").write_text(f"name: ward\nimages: [{', '.join(images)}]\n")
        arguments = (command, "ward.yaml", *COMMANDS[command], "--tls-verify=false")
        result = run_airbundle(*arguments)
    assert result.status == 9
    assert "2 images do not exist" in result.stderr
    assert images[1] in result.stderr
    assert images[2] in result.stderr
    assert ("--keep-going" in result.stderr) == (command != "lock")


@pytest.mark.parametrize("kind", ["docker", "dir"])
def test_sync_names_every_missing_image(tmp_path: Path, run_airbundle: RunAirbundle, kind: str):
    with FakeRegistry() as registry:
        registry.add_image("a", "1")
        text = f"{registry.host}: {{tls-verify: false, images: {{a: ['1', '2'], b: ['3']}}}}\n"
        (tmp_path / "list.yaml").write_text(text)
        target = f"{registry.host}/copies" if kind == "docker" else "out"
        command = ("sync", "--src", "yaml", "--dest", kind, "--tls-verify=false")
        result = run_airbundle(*command, "list.yaml", target)
        assert result.status == 9
        assert "2 images do not exist" in result.stderr
        assert f"{registry.host}/a:2" in result.stderr
        assert f"{registry.host}/b:3" in result.stderr
        assert set(registry.repositories) == {"a"}


def test_sync_names_missing_repositories_beside_missing_images(
    tmp_path: Path, run_airbundle: RunAirbundle
):
    with FakeRegistry() as registry:
        registry.add_image("a", "1")
        text = f"{registry.host}: {{tls-verify: false, images: {{none: [], a: ['1', '2']}}}}\n"
        (tmp_path / "list.yaml").write_text(text)
        result = run_airbundle("sync", "--src", "yaml", "--dest", "dir", "list.yaml", "out")
        assert result.status == 9
        assert f"{registry.host}/none" in result.stderr
        assert f"{registry.host}/a:2" in result.stderr
        assert not (tmp_path / "out").exists()


def test_sync_of_list_with_missing_image_suggests_to_keep_going(
    tmp_path: Path, run_airbundle: RunAirbundle
):
    with FakeRegistry() as registry:
        registry.add_image("a", "1")
        text = f"{registry.host}: {{tls-verify: false, images: {{a: ['1', '2']}}}}\n"
        (tmp_path / "list.yaml").write_text(text)
        command = ("sync", "--src", "yaml", "--dest", "dir", "list.yaml", "out")
        result = run_airbundle(*command)
        assert result.status == 9
        assert "--keep-going" in result.stderr
        assert "--keep-going" not in run_airbundle(*command, "--keep-going").stderr
