"""The command class: global options, boolean options in Go's syntax, help in sections."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from bundler.cli.options import global_options
from bundler.cli.options.go_values import add_values
from bundler.cli.options.group import OWN_SECTION, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEEP_LINES = "\b\n"  # click does not wrap the lines of a paragraph that begins with this

GLOBAL_SECTION = "Global options"


class Command(click.Command):
    """A command that also accepts the global options; its help ends with examples."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **attributes)
        if examples:
            lines = "\n".join(f"$ {example}" for example in examples)
            self.help = f"{inspect.cleandoc(self.help or '')}\n\n{_KEEP_LINES}{lines}"
        self.params += global_options.create_parameters(hidden=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with boolean options in Go's syntax."""
        rest = super().parse_args(ctx, add_values(args, self.params))
        global_options.read(ctx).check()
        return rest

    def collect_sections(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return the options as ``--help`` lists them, by section: own options first."""
        sections: dict[str, list[tuple[str, str]]] = {OWN_SECTION: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                section = parameter.section if isinstance(parameter, Option) else GLOBAL_SECTION
                sections.setdefault(section, []).append(record)
        last = sections.pop(GLOBAL_SECTION, [])
        return {name: records for name, records in sections.items() if records} | {
            GLOBAL_SECTION: last
        }

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each section."""
        for section, records in self.collect_sections(ctx).items():
            with formatter.section(section):
                formatter.write_dl(records)
        formatter.write_paragraph()
        formatter.write_text("airbundle --help lists more global options.")


def command(
    name: str,
    *examples: str,
    **attributes: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command, as ``click.command``; its help ends with ``examples``."""
    return click.command(name, cls=Command, examples=examples, **attributes)
