"""Global options of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.errors import UnsupportedError, UsageError

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


REPEATED = [
    ("audit", ".", "--rules", "a.yaml", "--rules=b.yaml"),
    ("vulns", ".", "--database", "a", "--database", "b"),
    ("ls", ".", "--sort", "name", "--sort", "size"),
    ("export", "ward.yaml", "to", "--tls-verify", "--tls-verify=false"),
    ("trust", "show", "a.json", "--policy", "a", "--policy", "b"),
    ("--policy", "a", "--policy", "b", "ls", "."),
    ("--policy", "a", "ls", ".", "--policy", "b"),
]


@pytest.mark.parametrize("arguments", REPEATED, ids=" ".join)
def test_option_with_one_value_is_refused_twice(
    run_airbundle: RunAirbundle, arguments: tuple[str, ...]
):
    """An option with one value does not replace the former one silently."""
    result = run_airbundle(*arguments)
    assert result.status == UsageError.exit_status
    option = next(text for text in arguments if text.startswith("--")).partition("=")[0]
    assert result.stderr.splitlines()[0] == (
        f"airbundle: error: {option}: given 2 times (expected once)"
    )


def test_flags_and_lists_may_be_repeated(run_airbundle: RunAirbundle):
    flags = ("-l", "--long", "-q", "-q")
    result = run_airbundle("ls", "absent", *flags, "--match", "a", "--match", "b")
    assert "given" not in result.stderr


def test_value_that_looks_like_the_option_does_not_count(run_airbundle: RunAirbundle):
    result = run_airbundle("ls", "--sort", "name", "--", "--sort")
    assert "given" not in result.stderr
