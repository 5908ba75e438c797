"""Skopeo's voice: its command line in, its words and statuses out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import click

from bundler.cli.frontends.skopeo import argument_checks, argv, logrus, translate
from bundler.cli.frontends.skopeo.flag_tables import PROGRAM
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import ProgressView
    from bundler.cli.frontends.skopeo.argv import CommandLine
    from bundler.cli.frontends.skopeo.progress import Lines
    from bundler.errors import BundlerError

VERSION = "1.22.0"
"""The Skopeo whose behaviour this is."""


class SkopeoFrontend:
    """As ``skopeo``."""

    tells_outcomes = False

    def __init__(self) -> None:
        self._line: CommandLine | None = None  # known once it is found to be good
        self._lines: Lines | None = None  # what was shown last

    @property
    def name(self) -> str:
        """``skopeo``."""
        return "skopeo"

    def grammar(self, group: click.Group, /) -> click.Group:  # noqa: ARG002 - its own tables tell
        """All of Skopeo's, whether we have them or not."""
        from bundler.cli.frontends.skopeo.completion import grammar  # noqa: PLC0415 - only for shells

        return grammar()

    def arguments(self, typed: Sequence[str], group: click.Group, /) -> list[str]:
        """Translated; who asks for help or the version gets it here."""
        line = argv.parse(typed)
        if line.says("help"):
            from bundler.cli.frontends.skopeo import help_text  # noqa: PLC0415 - only for those who ask

            sys.stdout.write(help_text.text(line.command, group))
            raise click.exceptions.Exit(0)
        if line.command is PROGRAM:
            if not line.says("version"):
                raise argv.not_a_command(line.arguments)
            sys.stdout.write(f"skopeo version {VERSION}\n")
            raise click.exceptions.Exit(0)
        if "tls-verify" in line.program:
            logrus.log(
                "warning",
                "'--tls-verify' is deprecated, please set this on the specific subcommand",
            )
        if (reason := argument_checks.wants_usage(line)) is not None:
            from bundler.cli.frontends.skopeo import help_text  # noqa: PLC0415 - as above

            sys.stderr.write(f"{help_text.text(line.command, group)}\n")
            raise UsageError(reason)
        argument_checks.check(line)
        command = group.get_command(click.Context(group), line.command.name)
        if command is None:
            raise UsageError(f"`skopeo {line.command.name}` is not supported by this program")
        arguments = translate.translated(line, command, version=VERSION)
        self._line = line
        return arguments

    def showing(self, *, quiet: bool) -> ProgressView:
        """Lines on stdout; warnings in the log."""
        from bundler.cli.frontends.skopeo.progress import Lines  # noqa: PLC0415 - only who works needs it

        line = self._line
        debug, dry_run = (line is not None and line.says(name) for name in ("debug", "dry-run"))
        self._lines = Lines(
            sys.stdout,
            self._again,
            quiet=quiet,
            debug=debug,
            dry_run=dry_run,
            signatures=line is None or not line.says("remove-signatures"),
        )
        return self._lines

    def ask(self, what: Literal["username", "password"], *, username: str = "") -> str:  # noqa: ARG002
        """On stdout; a password only from a terminal."""
        sys.stdout.write(f"{what.capitalize()}: ")
        sys.stdout.flush()
        front = f"getting username and password: reading {what}:"
        if what == "username":
            answer = sys.stdin.readline()
            if not answer:
                raise UsageError(f"{front} EOF")
            return answer.strip()
        if not sys.stdin.isatty():
            raise UsageError(f"{front} inappropriate ioctl for device")
        from getpass import getpass  # noqa: PLC0415 - seldom needed

        return getpass("")

    def logging_in(self, registry: str, *, again: bool) -> None:
        """Only where nothing new is told."""
        if again:
            sys.stdout.write(f"Authenticating with existing credentials for {registry}\n")
            sys.stdout.flush()

    def kept(self, where: str) -> None:
        """The file, after two spaces."""
        sys.stdout.write(f"Used:  {where}\n")

    def trace(self, trace: str, /) -> None:
        """An entry of the log for each line."""
        for text in filter(None, trace.splitlines()):
            logrus.log("debug", text)

    def failure(self, error: BundlerError, /) -> int:
        """One fatal entry in the log."""
        sys.stdout.flush()
        if self._line is None:
            logrus.log("fatal", error.message)
            return 1
        from bundler.cli.frontends.skopeo import error_messages  # noqa: PLC0415 - not needed where nothing fails

        told = error_messages.told(error, self._line, self._first_blob())
        logrus.log("fatal", told.message)
        return told.status

    def _first_blob(self) -> str | None:
        return None if self._lines is None else self._lines.first_blob

    def _again(self, error: BundlerError) -> str:
        """What a failure is called before the command is run again."""
        from bundler.cli.frontends.skopeo import error_messages  # noqa: PLC0415 - seldom needed

        assert self._line is not None  # noqa: S101 - or nothing would have failed
        return error_messages.told(error, self._line, self._first_blob()).cause
