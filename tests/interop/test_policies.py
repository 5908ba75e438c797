"""A policy.json accepts the images that it accepts for Skopeo, and no others."""

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
def references(tmp_path: Path) -> dict[str, str]:
    """One image in several transports, by transport."""
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
def verdicts(tmp_path: Path, references, airbundle: servers.Client):
    """Whether Skopeo and airbundle copy from a reference under a policy."""
    program = servers.program("skopeo")

    def copy(transport: str, policy: object) -> tuple[bool, bool]:
        file = tmp_path / "policy.json"
        file.write_text(policy if isinstance(policy, str) else json.dumps(policy))
        theirs = subprocess.run(
            [program, "--policy", file, "copy", references[transport], "oci:theirs:x"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        )
        ours = airbundle(
            "--policy", file, "copy", references[transport], "oci:ours:x", cwd=tmp_path
        )
        assert "internal error" not in ours.stderr
        return theirs.returncode == 0, ours.returncode == 0

    return copy


@pytest.mark.parametrize("transport", ["oci", "dir"])
@pytest.mark.parametrize("outside", [ACCEPT, REJECT, SIGNED], ids=["accept", "reject", "signed"])
@pytest.mark.parametrize(
    "scope",
    ["", "{}", "{}/a", "{}/a/layout", "{}/a/layout:app", "{}/a/layout:x", "{}/link", "{}/a/image"],
)
def test_policy_scope_is_selected_as_in_skopeo(
    verdicts, tmp_path: Path, transport, outside, scope
) -> None:
    inside = REJECT if outside == ACCEPT else ACCEPT
    scopes = {scope.format(tmp_path): inside}
    theirs, ours = verdicts(transport, {"default": outside, "transports": {transport: scopes}})
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
def test_policy_file_is_accepted_as_in_skopeo(verdicts, policy: str) -> None:
    theirs, ours = verdicts("dir", policy)
    assert ours == theirs


def test_copy_refuses_image_that_policy_rejects(
    airbundle: servers.Client, references, tmp_path: Path
) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"default": REJECT}))
    result = airbundle("copy", references["dir"], "oci:ours:x", "--policy", file, cwd=tmp_path)
    assert result.returncode == 4
    assert f"{references['dir']}: rejected by policy" in result.stderr
    assert airbundle("inspect", "--policy", file, references["dir"], cwd=tmp_path).returncode == 0
    allowed = airbundle("--insecure-policy", "copy", references["dir"], "oci:ours:x", cwd=tmp_path)
    assert allowed.returncode == 0


def test_missing_configured_policy_is_refused(
    airbundle: servers.Client, references, tmp_path: Path
) -> None:
    named = airbundle.environment | {"CONTAINERS_POLICY_JSON": str(tmp_path / "none.json")}
    configured = replace(airbundle, environment=named)
    result = configured("copy", references["dir"], "oci:ours:x", cwd=tmp_path)
    assert result.returncode == 2
    assert "no such file" in result.stderr
