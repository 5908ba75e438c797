"""Options that several commands share, as decorators; what they gather is a frozen value."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options import global_options, program_flags
from bundler.cli.options.go_bool import GoBoolOption
from bundler.cli.options.registry_access import AccessOptions, access, both_sides
from bundler.cli.options.retry import Retry, retries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "PATH",
    "AccessOptions",
    "Command",
    "GoBoolOption",
    "NamingOptions",
    "Retry",
    "access",
    "as_json",
    "both_sides",
    "command",
    "jobs",
    "naming",
    "passphrase_file",
    "quiet",
    "retries",
]

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")

PATH = click.Path(path_type=Path)

_AS_IT_IS = "\b\n"  # click leaves the lines of such a paragraph alone


@dataclass(frozen=True, slots=True)
class NamingOptions:
    """What the command line says of names at a target."""

    moves: tuple[str, ...]
    keep_host: bool
    existing: str | None


class Command(click.Command):
    """A command whose switches need no value, and that takes the flags of the program too."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **settings)
        if examples:
            lines = "\n".join(f"$ {example}" for example in examples)
            self.help = f"{inspect.cleandoc(self.help or '')}\n\n{_AS_IT_IS}{lines}"
        self.params += program_flags.flags(hidden=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give the switches that stand alone their value, then parse."""
        switches = {
            spelling
            for param in self.params
            if isinstance(param, GoBoolOption)
            for spelling in param.opts
        }
        end = args.index("--") if "--" in args else len(args)
        options = [f"{arg}=true" if arg in switches else arg for arg in args[:end]]
        rest = super().parse_args(ctx, options + args[end:])
        global_options.said(ctx).check()
        return rest


def command(
    name: str,
    *examples: str,
    **settings: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Command]:
    """As ``click.command``, for every command of this program; its help ends with ``examples``."""
    return click.command(name, cls=Command, examples=examples, **settings)


def naming(function: Decorated) -> Decorated:
    """Options for names at a target, gathered in the parameter ``naming``."""

    @functools.wraps(function)
    def gather(
        *arguments: Any,  # noqa: ANN401
        moves: tuple[str, ...],
        keep_host: bool,
        existing: str | None,
        **given: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return function(*arguments, naming=NamingOptions(moves, keep_host, existing), **given)

    for option in reversed(_NAMING_OPTIONS):
        gather = option(gather)
    return gather  # type: ignore[return-value]


def jobs(function: Decorated) -> Decorated:
    """``--jobs``: how much may happen at once, in the parameter ``jobs``; None: not said."""
    return click.option(
        "-j",
        "--jobs",
        metavar="N",
        type=click.IntRange(1, 64),
        help="How many blobs move at once: 6 if not said.",
    )(function)


def passphrase_file(says: str) -> Callable[[Decorated], Decorated]:
    """``--passphrase-file``, in the parameter ``passphrase_file``."""
    return click.option("--passphrase-file", type=PATH, help=says)


def as_json(function: Decorated) -> Decorated:
    """``--json``, in the parameter ``as_json``."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON document for machines."
    )(function)


def quiet() -> bool:
    """Whether the user wants no word but errors."""
    return global_options.said().quiet


_NAMING_OPTIONS = (
    click.option(
        "--names",
        "moves",
        multiple=True,
        metavar="FROM=TO",
        help="Names that begin with FROM get TO.",
    ),
    click.option("--keep-host", is_flag=True, help="Keep the original registry in the names."),
    click.option(
        "--existing",
        type=click.Choice(["error", "skip", "overwrite"]),
        help="What to do with names that hold something else; error if not said.",
    ),
)
