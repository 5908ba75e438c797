"""``airbundle completion``: print the completion script of a shell."""

from __future__ import annotations

import sys

import click

from bundler.cli.options.command import command


@command("completion", hidden=True)
@click.argument("shell")
def completion(shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    To try it in bash: source <(airbundle completion bash)
    """
    from bundler.cli.runtime.completion import create_script  # noqa: PLC0415 - not for --help

    sys.stdout.write(create_script(shell, "airbundle"))
