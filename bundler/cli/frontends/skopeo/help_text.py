"""Help, in the form that Skopeo's users know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.frontends.native.commands import airbundle
from bundler.cli.frontends.skopeo.flag_tables import COMMANDS, PROGRAM, Command, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping


def text(command: Command) -> str:
    """Return the help for ``command``, with the texts of the native help."""
    group = airbundle
    context = click.Context(group)
    if command is PROGRAM:
        says = _said(group)
        commands = _commands(group, context)
        return f"Usage:\n  skopeo COMMAND [flags]\n\nCommands:\n{commands}\n{_flags(command, says)}"
    ours = group.get_command(context, command.name)
    usage = " ".join(filter(None, ("skopeo", command.name, "[flags]", command.arguments)))
    about = f"{ours.get_short_help_str(200)}\n\n" if ours else ""
    return f"{about}Usage:\n  {usage}\n\n{_flags(command, _said(ours) if ours else {})}"


def _commands(group: click.Group, context: click.Context) -> str:
    rows = [
        (name, ours.get_short_help_str(200))
        for name, command in COMMANDS.items()
        if not command.hidden and (ours := group.get_command(context, name)) is not None
    ]
    width = max(len(name) for name, _ in rows) + 2
    return "".join(f"  {name:<{width}}{says}\n" for name, says in rows)


def _flags(command: Command, says: Mapping[str, str]) -> str:
    shown = sorted(command.find().values(), key=lambda flag: flag.name)
    rows = [(_spelled(flag), says.get(flag.name, "")) for flag in shown if not flag.hidden]
    width = max(len(spelled) for spelled, _ in rows) + 3
    return "Flags:\n" + "".join(f"{left:<{width}}{right}".rstrip() + "\n" for left, right in rows)


def _spelled(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    value = "" if flag.kind == "bool" else f" {flag.value or flag.kind}"
    return f"  {short}--{flag.name}{value}"


def _said(command: click.Command) -> dict[str, str]:
    """What our own help says of each option."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name[2:]: param.help or "" for param in options for name in param.opts}
