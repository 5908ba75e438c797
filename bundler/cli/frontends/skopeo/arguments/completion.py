"""Skopeo's commands and flags as a click group, for shell completion."""

from __future__ import annotations

import click

from bundler.cli.frontends.skopeo.arguments import flag_tables

_PATH_VALUES = ("FILE", "DIRECTORY")


def create_group() -> click.Group:
    """Return a group of all commands of Skopeo, for completion only."""
    commands = {
        name: click.Command(
            name,
            params=[
                *_create_options(command),
                click.Argument(["words"], nargs=-1, type=click.Path()),
            ],
            hidden=command.hidden,
            add_help_option=False,
        )
        for name, command in flag_tables.COMMANDS.items()
    }
    return click.Group(
        "skopeo", commands, params=_create_options(flag_tables.PROGRAM), add_help_option=False
    )


def _create_options(command: flag_tables.SkopeoCommand) -> list[click.Parameter]:
    return [_create_option(flag) for flag in command.find_flags().values()]


def _create_option(flag: flag_tables.Flag) -> click.Option:
    names = [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]
    kind = click.Path() if flag.value in _PATH_VALUES else click.STRING
    return click.Option(
        [*names, f"_{flag.name.replace('-', '_').replace('.', '_')}"],
        is_flag=flag.type == "bool",
        type=None if flag.type == "bool" else kind,
        multiple=flag.type in ("strings", "ints"),
        hidden=flag.hidden,
    )
