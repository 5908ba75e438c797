"""Help in Skopeo's format, and shell completion of its commands and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.frontends.skopeo.arguments.flag_tables import COMMANDS, PROGRAM, SkopeoCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALL = "Copy all images of an index (default: the one for this machine)."
_DIFFERENT = {"copy": {"all": _ALL}, "sync": {"all": _ALL}}
"""Help texts by command and flag, where Skopeo's default differs from the native one."""
_PATH_VALUES = ("FILE", "DIRECTORY")


def format_help(command: SkopeoCommand) -> str:
    """Return the help for ``command``, or for the program.

    Flags have the help texts of the native options of the same name.
    """
    from bundler.cli.frontends.native import airbundle  # noqa: PLC0415 - only for help

    context = click.Context(airbundle)
    if command is PROGRAM:
        rows = [
            (name, native.get_short_help_str(200))
            for name, listed in COMMANDS.items()
            if not listed.hidden and (native := airbundle.get_command(context, name)) is not None
        ]
        width = max(len(name) for name, _ in rows) + 2
        commands = "".join(f"  {name:<{width}}{text}\n" for name, text in rows)
        flags = _format_flags(command, _find_help_texts(airbundle))
        return f"Usage:\n  skopeo COMMAND [flags]\n\nCommands:\n{commands}\n{flags}"
    native = airbundle.get_command(context, command.name)
    usage = " ".join(filter(None, ("skopeo", command.name, "[flags]", command.arguments)))
    summary = f"{native.get_short_help_str(200)}\n\n" if native else ""
    texts = (_find_help_texts(native) if native else {}) | _DIFFERENT.get(command.name, {})
    return f"{summary}Usage:\n  {usage}\n\n{_format_flags(command, texts)}"


def create_group() -> click.Group:
    """Return a click group of all Skopeo commands, for completion only."""
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
        for name, command in COMMANDS.items()
    }
    return click.Group("skopeo", commands, params=_create_options(PROGRAM), add_help_option=False)


def _format_flags(command: SkopeoCommand, texts: Mapping[str, str]) -> str:
    flags = sorted(command.find_flags().values(), key=lambda flag: flag.name)
    rows = [
        (
            f"  {f'-{flag.short}, ' if flag.short else '    '}--{flag.name}"
            + ("" if flag.type == "bool" else f" {flag.value or flag.type}"),
            texts.get(flag.name, ""),
        )
        for flag in flags
        if not flag.hidden
    ]
    width = max(len(spelling) for spelling, _ in rows) + 3
    return "Flags:\n" + "".join(f"{left:<{width}}{right}".rstrip() + "\n" for left, right in rows)


def _find_help_texts(command: click.Command) -> dict[str, str]:
    """Return the native help text of each option by its long name."""
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {name[2:]: param.help or "" for param in options for name in param.opts}


def _create_options(command: SkopeoCommand) -> list[click.Parameter]:
    return [
        click.Option(
            [
                f"--{flag.name}",
                *([f"-{flag.short}"] if flag.short else []),
                f"_{flag.name.replace('-', '_').replace('.', '_')}",
            ],
            is_flag=flag.type == "bool",
            type=click.Path() if flag.value in _PATH_VALUES else None,
            multiple=flag.type in ("strings", "ints"),
            hidden=flag.hidden,
        )
        for flag in command.find_flags().values()
    ]
