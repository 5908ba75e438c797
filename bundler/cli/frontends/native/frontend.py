"""The native front end: runs the click commands, and prints errors with the next step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends.native.commands import PROGRAM, airbundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import ProgressView
    from bundler.cli.runtime.environment import Environment
    from bundler.errors import BundlerError


class NativeFrontend:
    """The command line of airbundle."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    def run(self, arguments: Sequence[str], /) -> int:
        """Run a command of the click group."""
        try:
            with airbundle.make_context(PROGRAM, list(arguments), obj=self) as context:
                airbundle.invoke(context)
        except click.exceptions.Exit as leaving:
            return leaving.exit_code
        return 0

    def complete(self, instruction: str, /) -> int:
        """Print completions of the click group."""
        from bundler.cli.runtime import completion  # noqa: PLC0415 - only for shells

        return completion.complete(airbundle, instruction)

    def show_progress(self, *, quiet: bool) -> ProgressView | None:
        """Return a display of bars or lines on stderr; None with ``quiet``."""
        if quiet:
            return None
        from bundler.cli.output.progress import Progress  # noqa: PLC0415 - not for --help

        return Progress.on_stderr(self.environment.variables)

    def report_error(self, error: BundlerError, /) -> int:
        """Print an error and its hint to stderr; return the exit status of its class."""
        from bundler.cli.output import text  # noqa: PLC0415 - only for errors
        from bundler.errors import CancelledError  # noqa: PLC0415 - as above

        text.print_error(error)
        return error.status if isinstance(error, CancelledError) else error.exit_status

    def report_traceback(self, text: str, /) -> None:
        """Print a traceback to stderr."""
        sys.stderr.write(text)
