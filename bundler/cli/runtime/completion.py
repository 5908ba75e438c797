"""Shell completion: the script that a shell loads, and the answers that the script asks for."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class, shell_complete

from bundler.errors import UnsupportedError, UsageError

VARIABLE = "_AIRBUNDLE_COMPLETE"
"""The environment variable by which the script asks for completions."""

SHELLS = ("bash", "zsh", "fish")

_KNOWN = f"known are {', '.join(SHELLS)}"


def create_script(shell: str, program: str) -> str:
    """Return the script with which ``shell`` completes the command line of ``program``.

    Raises:
        UnsupportedError: Skopeo has completion for this shell, and this program has not.
        UsageError: there is no such shell.
    """
    if shell == "powershell":
        raise UnsupportedError("there is no completion for powershell", hint=_KNOWN)
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise UsageError(f"there is no completion for {shell[:80]!r}", hint=_KNOWN)
    return found(click.Group(), {}, program, VARIABLE).source()


def complete(group: click.Group, instruction: str) -> int:
    """Print completions for the command line of ``group``; return the exit status."""
    return shell_complete(group, {}, group.name or "", VARIABLE, instruction)
