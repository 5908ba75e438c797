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


def test_login_keeps_what_the_registry_takes_and_logout_forgets_it(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    done = run_airbundle(
        "login", "-u", "user", "--password-stdin", INSECURE, registry.host, stdin="password\n"
    )
    assert (done.status, done.stdout, done.stderr) == (0, "Login Succeeded!\n", "")
    path = tmp_path / "run" / "containers" / "auth.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(json.loads(path.read_bytes())["auths"]) == [registry.host]

    done = run_airbundle("login", "--get-login", registry.host)
    assert (done.status, done.stdout) == (0, "user\n")

    done = run_airbundle("logout", registry.host)
    assert (done.status, done.stdout) == (0, f"Removed login credentials for {registry.host}\n")

    done = run_airbundle("logout", registry.host)
    assert done.status == 9
    assert f"{registry.host}: not logged in" in done.stderr


def test_a_wrong_password_is_status_7_and_leaves_nothing(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    done = run_airbundle("login", "-u", "user", "-p", "wr0ng", INSECURE, registry.host)
    assert done.status == 7
    assert "does not accept this user name and password" in done.stderr
    assert "wr0ng" not in done.stderr
    assert not (tmp_path / "run" / "containers").exists()


def test_a_kept_login_is_checked_anew_without_a_question(
    run_airbundle: RunAirbundle, registry: FakeRegistry
):
    run_airbundle("login", "-u", "user", "-p", "password", INSECURE, registry.host)
    done = run_airbundle("login", INSECURE, registry.host)
    assert done.status == 0
    assert done.stdout.startswith("Existing credentials are valid.")
    registry.password = "changed"
    done = run_airbundle("login", INSECURE, registry.host)
    assert done.status == 7


def test_json_says_where_the_credentials_are(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    path = tmp_path / "mine.json"
    done = run_airbundle(
        "login", "--json", "--authfile", path, "-u", "user", "-p", "password", INSECURE,
        f"{registry.host}/team",
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "registry": f"{registry.host}/team",
        "username": "user",
        "stored": str(path),
    }
    done = run_airbundle("logout", "--json", "--authfile", path, "--all")
    assert json.loads(done.stdout) == {"removed": "all registries"}
    assert json.loads(path.read_bytes()) == {"auths": {}}


def test_a_question_that_nobody_answers_comes_before_the_registry_is_asked(
    run_airbundle: RunAirbundle, registry: FakeRegistry
):
    done = run_airbundle("login", INSECURE, registry.host)
    assert done.status == 2
    assert "there is no more input" in done.stderr
    assert registry.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["login"], "REGISTRY"),
        (["login", "https://a.b"], "is not a registry"),
        (["login", "--password-stdin", "a.b"], "--password-stdin needs --username"),
        (["login", "--password-stdin", "-u", "u", "-p", "p", "a.b"], "exclude one another"),
        (["login", "--authfile", "x", "--compat-auth-file", "y", "a.b"], "exclude one another"),
        (["login", "-u", "a:b", "-p", "p", "a.b"], "no colon"),
        (["logout"], "either a registry or --all"),
        (["logout", "--all", "a.b"], "either a registry or --all"),
    ],
)
def test_a_wrong_command_line_is_status_2(
    run_airbundle: RunAirbundle, arguments: list[str], message: str
):
    done = run_airbundle(*arguments)
    assert done.status == 2
    assert message in done.stderr


def test_a_broken_file_is_status_2_and_is_named(
    run_airbundle: RunAirbundle, registry: FakeRegistry, tmp_path: Path
):
    path = tmp_path / "auth.json"
    path.write_text("{")
    done = run_airbundle("login", "--get-login", "--authfile", path, registry.host)
    assert done.status == 2
    assert str(path) in done.stderr


def test_a_fifo_for_a_file_does_not_hang(run_airbundle: RunAirbundle, tmp_path: Path):
    os.mkfifo(tmp_path / "auth.json")
    done = run_airbundle("login", "--get-login", "--authfile", tmp_path / "auth.json", "a.b")
    assert done.status == 2
    assert "not a regular file" in done.stderr
