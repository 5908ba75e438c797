"""The front end under Skopeo's name: its command line, its output and its exit statuses."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.arguments import argument_checks, argv
from bundler.cli.frontends.skopeo.arguments.flag_tables import PROGRAM
from bundler.cli.frontends.skopeo.messages import logrus
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import ProgressView
    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.cli.frontends.skopeo.messages.error_messages import SkopeoMessage
    from bundler.cli.frontends.skopeo.messages.progress import SkopeoProgress
    from bundler.cli.runtime.environment import Environment
    from bundler.errors import BundlerError

VERSION = "1.22.0"
"""The version of Skopeo whose command line this front end accepts."""


class SkopeoFrontend:
    """The command line of Skopeo."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._line: CommandLine | None = None  # set once it is checked
        self._lines: SkopeoProgress | None = None  # the progress of the last attempt

    def run(self, arguments: Sequence[str], /) -> int:
        """Run one of Skopeo's commands, or print help or the version."""
        line = argv.parse_command_line(arguments)
        if line.is_set("help"):
            sys.stdout.write(_format_help(line))
            return 0
        if line.command is PROGRAM:
            if not line.is_set("version"):
                raise argv.create_unknown_command_error(line.arguments)
            sys.stdout.write(f"skopeo version {VERSION}\n")
            return 0
        if "tls-verify" in line.global_flags:
            logrus.log(
                "warning",
                "'--tls-verify' is deprecated, please set this on the specific subcommand",
            )
        if (reason := argument_checks.find_count_problem(line)) is not None:
            sys.stderr.write(f"{_format_help(line)}\n")
            raise UsageError(reason)
        argument_checks.check(line)
        argument_checks.log_warnings(line)
        from bundler.cli.frontends.skopeo import commands, requests  # noqa: PLC0415 - not for --help
        from bundler.cli.runtime.context import CommandContext  # noqa: PLC0415 - as above

        self._line = line
        context = CommandContext(
            self.environment,
            self,
            requests.create_global_options(line),
            user_agent=f"skopeo/{VERSION}",
            trusts_named_hosts=True,
            lenient=True,
            patience=0,  # Skopeo retries only with --retry-times
            rate_limit_patience=62,  # it repeats a request after 2, 4, 8, 16 and 32 seconds
            policy_required=True,
        )
        commands.COMMANDS[line.command.name](context, line)
        return 0

    def complete(self, instruction: str, /) -> int:
        """Print completions of all commands and flags of Skopeo, supported or not."""
        from bundler.cli.commands.completion import complete  # noqa: PLC0415 - as above
        from bundler.cli.frontends.skopeo.arguments.help_and_completion import create_group  # noqa: PLC0415 - only for shells

        return complete(create_group(), instruction)

    def show_progress(self, *, quiet: bool) -> ProgressView:
        """Return a display of lines on stdout; warnings are logged."""
        from bundler.cli.frontends.skopeo.messages.progress import SkopeoProgress  # noqa: PLC0415 - not for --help

        assert self._line is not None  # noqa: S101 - a command runs
        self._lines = SkopeoProgress(
            sys.stdout, self._line, lambda error: self._message(error).cause, quiet=quiet
        )
        return self._lines

    def report_error(self, error: BundlerError, /) -> int:
        """Log an error with the level ``fatal``; return its exit status."""
        sys.stdout.flush()
        if self._line is None:
            logrus.log("fatal", error.message)
            return 1
        message = self._message(error)
        logrus.log("fatal", message.message)
        return message.status

    def report_traceback(self, text: str, /) -> None:
        """Log each line of a traceback."""
        for line in filter(None, text.splitlines()):
            logrus.log("debug", line)

    def _message(self, error: BundlerError) -> SkopeoMessage:
        from bundler.cli.frontends.skopeo.messages import error_messages  # noqa: PLC0415 - only for errors

        assert self._line is not None  # noqa: S101 - a command has run
        first_blob = None if self._lines is None else self._lines.first_blob
        return error_messages.describe_error(error, self._line, first_blob)


def _format_help(line: CommandLine) -> str:
    from bundler.cli.frontends.skopeo.arguments import help_and_completion  # noqa: PLC0415 - only for help

    return help_and_completion.format_help(line.command)
