"""``airbundle logout``."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

LOGIN = {"auth": base64.b64encode(b"user:password").decode()}


@pytest.fixture
def authfile(tmp_path: Path) -> Path:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps({"auths": {"a.example": LOGIN, "b.example": LOGIN}}))
    return path


def test_logout_removes_credentials_of_registry(run_airbundle: RunAirbundle, authfile: Path):
    command = ("logout", "--authfile", authfile, "a.example")

    result = run_airbundle(*command)
    assert result.status == 0, result.stderr
    assert result.stdout == "Removed login credentials for a.example\n"
    assert json.loads(authfile.read_bytes()) == {"auths": {"b.example": LOGIN}}

    result = run_airbundle(*command)
    assert result.status == 9
    assert "a.example: not logged in" in result.stderr


def test_logout_all_removes_credentials_of_every_registry(
    run_airbundle: RunAirbundle, authfile: Path
):
    result = run_airbundle("logout", "--json", "--authfile", authfile, "--all")
    assert json.loads(result.stdout) == {"removed": "all registries"}
    assert json.loads(authfile.read_bytes()) == {"auths": {}}


@pytest.mark.parametrize("arguments", [[], ["--all", "a.example"]])
def test_logout_requires_either_registry_or_all(run_airbundle: RunAirbundle, arguments: list[str]):
    result = run_airbundle("logout", *arguments)
    assert result.status == 2
    assert "either REGISTRY or --all" in result.stderr


@pytest.mark.parametrize("arguments", [["a.example"], ["--all"]])
def test_logout_ends_trust_in_token_service(
    run_airbundle: RunAirbundle, tmp_path: Path, arguments: list[str]
):
    """The token service may be the only thing that a failed login has left."""
    path = tmp_path / "home/.config/airbundle/token-services.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"a.example": "https://auth.example.net/token"}))
    result = run_airbundle("logout", *arguments)
    assert result.status == 0, result.stderr
    assert json.loads(path.read_bytes()) == {}
