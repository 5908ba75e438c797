"""``airbundle completion``: shell completion, for both front ends."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class, shell_complete

from bundler.cli.options.command import command
from bundler.cli.runtime.environment import COMPLETION_VARIABLE
from bundler.errors import UnsupportedError, UsageError

SHELLS = ("bash", "zsh", "fish")


@command("completion", hidden=True)
@click.argument("shell")
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    To try it in bash: source <(airbundle completion bash)
    """
    sys.stdout.write(create_script(shell, "airbundle"))


def create_script(shell: str, program: str) -> str:
    """Return the completion script of ``program`` for ``shell``.

    Raises:
        UnsupportedError: if Skopeo supports the shell, but airbundle does not.
        UsageError: if the shell is unknown.
    """
    hint = f"use one of {', '.join(SHELLS)}"
    if shell == "powershell":
        raise UnsupportedError("there is no completion for powershell", hint=hint)
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise UsageError(f"there is no completion for {shell[:80]!r}", hint=hint)
    return kind(click.Group(), {}, program, COMPLETION_VARIABLE).source()


def complete(group: click.Group, instruction: str) -> int:
    """Print completions for the command line of ``group``; return the exit status."""
    return shell_complete(group, {}, group.name or "", COMPLETION_VARIABLE, instruction)
