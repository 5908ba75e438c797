"""Skopeo's commands and flags as click has them, for shells that complete what is typed."""

from __future__ import annotations

import click

from bundler.cli.frontends.skopeo import flag_tables

_OFFERED_FILES = ("FILE", "DIRECTORY")


def grammar() -> click.Group:
    """All commands; they cannot be run."""
    commands = {
        name: click.Command(
            name,
            params=[*_options(command), click.Argument(["words"], nargs=-1, type=click.Path())],
            hidden=command.hidden,
            add_help_option=False,
        )
        for name, command in flag_tables.COMMANDS.items()
    }
    return click.Group(
        "skopeo", commands, params=_options(flag_tables.PROGRAM), add_help_option=False
    )


def _options(command: flag_tables.Command) -> list[click.Parameter]:
    return [_option(flag) for flag in command.find().values()]


def _option(flag: flag_tables.Flag) -> click.Option:
    names = [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]
    kind = click.Path() if flag.value in _OFFERED_FILES else click.STRING
    return click.Option(
        [*names, f"_{flag.name.replace('-', '_').replace('.', '_')}"],
        is_flag=flag.kind == "bool",
        type=None if flag.kind == "bool" else kind,
        multiple=flag.kind in ("strings", "ints"),
        hidden=flag.hidden,
    )
