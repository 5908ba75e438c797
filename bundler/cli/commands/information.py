"""``airbundle version`` and ``airbundle help``: the options of these names, as commands."""

from __future__ import annotations

import click

from bundler import __version__
from bundler.cli.options.command import command


@command("version", hidden=True)
def version() -> None:
    """Print the version."""
    click.echo(f"airbundle {__version__}")


@command("help", hidden=True)
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show the help of a command, or the list of commands."""
    described = ctx.find_root()
    for name in names:
        group = described.command
        if not isinstance(group, click.Group):
            break
        found, selected, _ = group.resolve_command(described, [name])
        if selected is None:
            ctx.fail(f"unknown command {name[:80]!r}")
        described = click.Context(selected, described, found, **selected.context_settings)
    click.echo(described.get_help())
