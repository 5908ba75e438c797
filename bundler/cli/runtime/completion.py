"""Shell completion: the script that a shell loads, and the completions that it requests."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class, shell_complete

from bundler.cli.runtime.environment import COMPLETION_VARIABLE
from bundler.errors import UnsupportedError, UsageError

SHELLS = ("bash", "zsh", "fish")

_HINT = f"use one of {', '.join(SHELLS)}"


def create_script(shell: str, program: str) -> str:
    """Return the script with which ``shell`` completes the command line of ``program``.

    Raises:
        UnsupportedError: if only Skopeo has completion for this shell.
        UsageError: if no program has completion for it.
    """
    if shell == "powershell":
        raise UnsupportedError("there is no completion for powershell", hint=_HINT)
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise UsageError(f"there is no completion for {shell[:80]!r}", hint=_HINT)
    return found(click.Group(), {}, program, COMPLETION_VARIABLE).source()


def complete(group: click.Group, instruction: str) -> int:
    """Print completions for the command line of ``group``; return the exit status."""
    return shell_complete(group, {}, group.name or "", COMPLETION_VARIABLE, instruction)
