"""Global options of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.errors import UnsupportedError

if TYPE_CHECKING:
    from tests.cli.conftest import RunAirbundle

COMMANDS = [
    ("plan", "ward.yaml"),
    ("lock", "ward.yaml"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", [("--require-signed",), ("--policy", "policy.json")])
def test_commands_that_evaluate_no_policy_refuse_policy_options(
    run_airbundle: RunAirbundle, command: tuple[str, ...], option: tuple[str, ...]
):
    result = run_airbundle(*command, *option)
    assert result.status == UnsupportedError.exit_status
    error, *_ = result.stderr.splitlines()
    assert error == (
        f"airbundle: error: {option[0]}: unsupported because {command[0]} does not evaluate"
        " policy.json"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_evaluate_no_policy_accept_insecure_policy(
    run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    result = run_airbundle(*command, "--insecure-policy")
    assert result.status != UnsupportedError.exit_status
    assert "policy" not in result.stderr
