"""The commands that look into a bundle verify its signatures if a key is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

COMMANDS = {
    "tree": ("tree", "b"),
    "find": ("find", "b", "--reference", "nginx"),
    "why": ("why", "b", "nginx:1.27"),
    "show": ("show", "b"),
    "files": ("files", "b"),
    "cat": ("cat", "b", "motd"),
    "packages": ("packages", "b"),
}
KEY = keys.generate_key()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "signer.pub").write_bytes(KEY.public.to_pem())
    (tmp_path / "other.pub").write_bytes(keys.generate_key().public.to_pem())
    image = images.image(tars.layer(tars.member("motd", b"hello\n")))
    return bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: image}, keys=(KEY,))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_signatures_are_verified_if_a_key_is_given(
    run_airbundle: RunAirbundle, bundle: Path, command: tuple[str, ...]
):
    accepted = run_airbundle(*command, "--key", "signer.pub")
    signed = f"signed by {KEY.public.id[:16]}"
    assert (accepted.status, len(accepted.stderr.splitlines()), signed in accepted.stderr) == (
        0,
        1,
        True,
    )
    refused = run_airbundle(*command, "--key", "other.pub")
    assert (refused.status, refused.stdout) == (4, "")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_note_states_that_a_bundle_is_not_authenticated(
    run_airbundle: RunAirbundle, bundle: Path, command: tuple[str, ...]
):
    result = run_airbundle(*command)
    assert (result.status, len(result.stderr.splitlines())) == (0, 1)
    assert run_airbundle("--quiet", *command).stderr == ""


def test_json_states_whether_a_bundle_is_authenticated(run_airbundle: RunAirbundle, bundle: Path):
    for command in (("ls", "b"), ("tree", "b"), ("show", "b"), ("files", "b"), ("diff", "b", "b")):
        assert json.loads(run_airbundle(*command, "--json").stdout)["authenticated"] is False
        result = run_airbundle(*command, "--json", "--key", "signer.pub")
        assert json.loads(result.stdout)["authenticated"] is True


def test_layout_has_no_signatures_of_a_bundle(run_airbundle: RunAirbundle, bundle: Path):
    assert run_airbundle("tree", "oci:b").stderr == ""
    assert run_airbundle("tree", "oci:b", "--key", "signer.pub").status == 2
