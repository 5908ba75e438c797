"""``airbundle login``."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

INSECURE = "--tls-verify=false"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry(auth="basic") as fake:
        yield fake


def test_login_stores_accepted_credentials(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    result = run_airbundle(
        "login", "-u", "user", "--password-stdin", INSECURE, registry.host, stdin="password\n"
    )
    assert (result.status, result.stdout, result.stderr) == (0, "Login Succeeded!\n", "")
    path = tmp_path / "run" / "containers" / "auth.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(json.loads(path.read_bytes())["auths"]) == [registry.host]

    result = run_airbundle("login", "--get-login", registry.host)
    assert (result.status, result.stdout) == (0, "user\n")


def test_login_with_wrong_password_has_status_7_and_stores_nothing(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    result = run_airbundle("login", "-u", "user", "-p", "wr0ng", INSECURE, registry.host)
    assert result.status == 7
    assert "does not accept this user name and password" in result.stderr
    assert "wr0ng" not in result.stderr
    assert not (tmp_path / "run" / "containers").exists()


def test_login_checks_stored_credentials_without_prompt(
    run_airbundle: RunAirbundle, registry: FakeRegistry
):
    run_airbundle("login", "-u", "user", "-p", "password", INSECURE, registry.host)
    result = run_airbundle("login", INSECURE, registry.host)
    assert result.status == 0
    assert result.stdout.startswith("Existing credentials are valid.")
    registry.password = "changed"
    result = run_airbundle("login", INSECURE, registry.host)
    assert result.status == 7


def test_login_json_reports_path_of_authfile(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    path = tmp_path / "mine.json"
    result = run_airbundle(
        "login", "--json", "--authfile", path, "-u", "user", "-p", "password", INSECURE,
        f"{registry.host}/team",
    )  # fmt: skip
    assert json.loads(result.stdout) == {
        "registry": f"{registry.host}/team",
        "username": "user",
        "stored": str(path),
    }


def test_login_without_input_fails_before_any_request(
    run_airbundle: RunAirbundle, registry: FakeRegistry
):
    result = run_airbundle("login", INSECURE, registry.host)
    assert result.status == 2
    assert "unexpected end of input at a prompt" in result.stderr
    assert registry.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["login"], "REGISTRY"),
        (["login", "https://a.b"], "is not a valid registry"),
        (["login", "--password-stdin", "a.b"], "--password-stdin needs --username"),
        (["login", "--password-stdin", "-u", "u", "-p", "p", "a.b"], "are mutually exclusive"),
        (["login", "--authfile", "x", "--compat-auth-file", "y", "a.b"], "are mutually exclusive"),
        (["login", "-u", "a:b", "-p", "p", "a.b"], "no colon"),
    ],
)
def test_login_refuses_invalid_arguments(
    run_airbundle: RunAirbundle, arguments: list[str], message: str
):
    result = run_airbundle(*arguments)
    assert result.status == 2
    assert message in result.stderr


def test_login_names_malformed_authfile(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    path = tmp_path / "auth.json"
    path.write_text("{")
    result = run_airbundle("login", "--get-login", "--authfile", path, registry.host)
    assert result.status == 2
    assert str(path) in result.stderr


def test_login_refuses_fifo_as_authfile(run_airbundle: RunAirbundle, tmp_path: Path):
    os.mkfifo(tmp_path / "auth.json")
    result = run_airbundle("login", "--get-login", "--authfile", tmp_path / "auth.json", "a.b")
    assert result.status == 2
    assert "not a regular file" in result.stderr
