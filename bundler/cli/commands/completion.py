"""``airbundle completion``: what a shell must be told to complete our commands and options."""

from __future__ import annotations

import click

from bundler.cli.frontends import frontend
from bundler.cli.options.command import command
from bundler.errors import UnsupportedError, UsageError

VARIABLE = "_AIRBUNDLE_COMPLETE"
"""By this variable of the environment a shell asks for what it may complete."""

SHELLS = ("bash", "zsh", "fish")


@command("completion", hidden=True)
@click.argument("shell")
def completion(shell: str) -> None:
    """Print a script with which SHELL (bash, zsh or fish) completes commands and options.

    To try it in bash: source <(airbundle completion bash)
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only for shells

    if shell == "powershell":
        raise UnsupportedError("there is no completion for powershell", hint=_KNOWN)
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise UsageError(f"there is no completion for {shell[:80]!r}", hint=_KNOWN)
    program = frontend.current().name
    click.echo(found(click.Group(), {}, program, VARIABLE).source(), nl=False)


def answer(group: click.Group, instruction: str) -> int:
    """Tell a shell what may stand where the cursor is, in a command line for ``group``."""
    from click.shell_completion import shell_complete  # noqa: PLC0415 - only for shells

    return shell_complete(group, {}, group.name or "", VARIABLE, instruction)


_KNOWN = f"known are {', '.join(SHELLS)}"
