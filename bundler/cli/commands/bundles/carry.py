"""``airbundle carry``: write the program itself to a medium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path


@command("carry", "airbundle carry /media/stick/airbundle")
@click.argument("directory", type=common.PATH)
@option(
    "--no-interpreter",
    is_flag=True,
    help="Leave out the interpreter: the isolated machine then needs Python 3.11 or newer.",
)
@common.as_json
@pass_context
def carry(context: CommandContext, directory: Path, *, no_interpreter: bool, as_json: bool) -> None:
    """Write this program to DIRECTORY, so that it runs on an isolated machine.

    The program runs on Linux on x86-64 and arm64, with the carried interpreter and libraries on any
    machine, or with a Python of the machine. Its dependencies are downloaded with pip and apt-get,
    and are kept in the cache. A carried program copies itself.
    """
    from bundler.bundle.media import filesystem  # noqa: PLC0415 - as above
    from bundler.bundle.program import copy_program  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime.exporting.carried_program import prepare  # noqa: PLC0415 - as above

    with context.run() as run:
        program = prepare(run, with_interpreter=not no_interpreter)
        size = copy_program.carry(program, directory, run.cancellation)
    if as_json:
        text.print_json({"directory": str(directory), "size": size})
    else:
        text.print_line(f"{directory}: written: the program, {text.format_size(size)}")
        text.print_line(f"on the isolated machine: {directory}/airbundle --help")
    if not context.options.quiet:
        text.print_note(filesystem.inspect(directory).completion_message)
