"""A policy.json lets through what it lets through for Skopeo, and nothing else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path

ACCEPT, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
SIGNED = [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/dev/null"}]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """One image in several places, by what names it."""
    images.write_layout(tmp_path / "a" / "layout", {"app": images.image()})
    (tmp_path / "link").symlink_to("a")
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "oci:a/layout:app", "dir:a/image"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    return {"oci": "oci:link/layout:app", "dir": "dir:link/image"}


@pytest.fixture
def verdicts(tmp_path: Path, places, airbundle: servers.Client):
    """Whether Skopeo, and whether we, copy from a place under a policy."""
    program = servers.program("skopeo")

    def copy(place: str, policy: object) -> tuple[bool, bool]:
        file = tmp_path / "policy.json"
        file.write_text(policy if isinstance(policy, str) else json.dumps(policy))
        theirs = subprocess.run(
            [program, "--policy", file, "copy", places[place], "oci:theirs:x"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        )
        ours = airbundle("--policy", file, "copy", places[place], "oci:ours:x", cwd=tmp_path)
        assert "internal error" not in ours.stderr
        return theirs.returncode == 0, ours.returncode == 0

    return copy


@pytest.mark.parametrize("place", ["oci", "dir"])
@pytest.mark.parametrize("outside", [ACCEPT, REJECT, SIGNED], ids=["accept", "reject", "signed"])
@pytest.mark.parametrize(
    "scope",
    ["", "{}", "{}/a", "{}/a/layout", "{}/a/layout:app", "{}/a/layout:x", "{}/link", "{}/a/image"],
)
def test_the_same_scope_decides(verdicts, tmp_path: Path, place, outside, scope) -> None:
    inside = REJECT if outside == ACCEPT else ACCEPT
    scopes = {scope.format(tmp_path): inside}
    theirs, ours = verdicts(place, {"default": outside, "transports": {place: scopes}})
    assert ours == theirs


@pytest.mark.parametrize(
    "policy",
    [
        "{}",
        '{"default": []}',
        '{"default": [{"type": "insecureAcceptAnything"}], "more": 1}',
        '{"default": [{"type": "insecureAcceptAnything", "more": 1}]}',
        '{"default": [{"type": "reject"}], "default": [{"type": "insecureAcceptAnything"}]}',
        '{"default": [{"type": "insecureAcceptAnything"}], "transports": {"dir": {"/": []}}}',
        json.dumps({"default": ACCEPT, "transports": {"dir": {"/": ACCEPT}}}),
        json.dumps({"default": ACCEPT, "transports": {"dir": {"a": ACCEPT}}}),
        json.dumps({"default": ACCEPT, "transports": {"docker": {"a": SIGNED[0]}}}),
        json.dumps({"default": ACCEPT, "transports": {"none": {"whatever": REJECT}}}),
        json.dumps({"default": ACCEPT, "transports": {"tarball": {"": REJECT}}}),
        json.dumps({"default": [*ACCEPT, *REJECT]}),
        json.dumps({"default": ACCEPT, "transports": {"docker-archive": {"/a": REJECT}}}),
        json.dumps(
            {
                "default": ACCEPT,
                "transports": {
                    "docker": {"a": [{"type": "signedBy", "keyType": "none", "keyPath": "/k"}]}
                },
            }
        ),
        json.dumps(
            {
                "default": ACCEPT,
                "transports": {"docker": {"a": [{"type": "sigstoreSigned", "keyPath": "/k"}]}},
            }
        ),
    ],
)
def test_the_same_files_are_in_order(verdicts, policy: str) -> None:
    theirs, ours = verdicts("dir", policy)
    assert ours == theirs


def test_copy_refuses_an_image_that_the_policy_rejects(
    airbundle: servers.Client, places, tmp_path: Path
) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"default": REJECT}))
    outcome = airbundle("copy", places["dir"], "oci:ours:x", "--policy", file, cwd=tmp_path)
    assert outcome.returncode == 4
    assert f"{places['dir']}: rejected by policy" in outcome.stderr
    assert airbundle("inspect", "--policy", file, places["dir"], cwd=tmp_path).returncode == 0
    allowed = airbundle("--insecure-policy", "copy", places["dir"], "oci:ours:x", cwd=tmp_path)
    assert allowed.returncode == 0


def test_a_policy_that_was_named_has_to_be_there(
    airbundle: servers.Client, places, tmp_path: Path
) -> None:
    named = airbundle.environment | {"CONTAINERS_POLICY_JSON": str(tmp_path / "none.json")}
    asked = replace(airbundle, environment=named)
    outcome = asked("copy", places["dir"], "oci:ours:x", cwd=tmp_path)
    assert outcome.returncode == 2
    assert "no such file" in outcome.stderr
