"""References with a tag and a digest whose tag points to another digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

COMMANDS = {"plan": (), "export": ("stick", "--unsigned"), "lock": ()}


@pytest.mark.parametrize("command", COMMANDS)
def test_option_takes_the_digest_although_the_tag_has_moved(
    tmp_path: Path, run_airbundle: RunAirbundle, command: str
):
    with FakeRegistry() as registry:
        pinned = registry.add_image("app", "1", [b"pinned"])
        registry.add_image("app", "1", [b"newer"])
        image = f"{registry.host}/app:1@{pinned}"
        (tmp_path / "ward.yaml").write_text(f"name: ward\nimages: [{image}]\n")
        arguments = (command, "ward.yaml", *COMMANDS[command], "--tls-verify=false")
        refused = run_airbundle(*arguments)
        assert refused.status == 10
        assert "--on-tag-moved warn" in refused.stderr
        taken = run_airbundle(*arguments, "--on-tag-moved", "warn")
    assert taken.status == 0, taken.stderr
    assert "warning: " in taken.stderr
    assert pinned in taken.stderr


def test_option_overrides_the_bundle_manifest(tmp_path: Path, run_airbundle: RunAirbundle):
    with FakeRegistry() as registry:
        pinned = registry.add_image("app", "1", [b"pinned"])
        registry.add_image("app", "1", [b"newer"])
        entry = f"{{ref: '{registry.host}/app:1@{pinned}', onTagMoved: warn}}"
        (tmp_path / "ward.yaml").write_text(f"name: ward\nimages: [{entry}]\n")
        command = ("plan", "ward.yaml", "--tls-verify=false")
        assert run_airbundle(*command).status == 0
        assert run_airbundle(*command, "--on-tag-moved", "fail").status == 10
