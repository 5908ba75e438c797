"""``airbundle version`` and ``airbundle help``."""

from __future__ import annotations

import pytest

from bundler import __version__


def test_version_is_that_of_the_option(run_airbundle) -> None:
    result = run_airbundle("version")

    assert (result.status, result.stdout) == (0, f"airbundle {__version__}\n")
    assert run_airbundle("--version").stdout == result.stdout


@pytest.mark.parametrize("command", [(), ("export",), ("trust",), ("trust", "init")])
def test_help_is_that_of_the_option(command, run_airbundle) -> None:
    result = run_airbundle("help", *command)

    assert result.status == 0
    assert result.stdout == run_airbundle(*command, "--help").stdout


def test_help_for_unknown_command_names_a_similar_one(run_airbundle) -> None:
    result = run_airbundle("help", "exprt")

    assert result.status == 2
    assert result.stderr == "airbundle: error: unknown command 'exprt'\nhint: airbundle export\n"
