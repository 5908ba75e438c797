"""The command class, and the global options, which are accepted before and after the command.

``airbundle --help`` imports this module, so it imports neither pathlib nor dataclasses.
"""

from __future__ import annotations

import functools
import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from bundler.cli.options.option import (
    OWN_SECTION,
    Option,
    add_values,
    parse_duration,
    refuse_conflicts,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

GLOBAL_SECTION = "Global options"

_KEEP_LINES = "\b\n"  # click does not wrap the lines of a paragraph that begins with this
_PATHS = {"policy", "registries_conf", "registries_d", "tls_details", "tmpdir"}


def command(
    name: str,
    *examples: str,
    **attributes: Any,  # noqa: ANN401
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command, as ``click.command``; its help ends with ``examples``."""
    return click.command(name, cls=Command, examples=examples, **attributes)


class Command(click.Command):
    """A command that also accepts the global options; its help ends with examples."""

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **attributes)
        if examples:
            lines = "\n".join(f"$ {example}" for example in examples)
            self.help = f"{inspect.cleandoc(self.help or '')}\n\n{_KEEP_LINES}{lines}"
        self.params += create_global_parameters(hidden=True)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with boolean options in Go's syntax."""
        arguments = add_values(args, self.params)
        refuse_repetitions(self, ctx, arguments)
        rest = super().parse_args(ctx, arguments)
        options = read_global_options(ctx)
        refuse_conflicts({"--policy": options.policy, "--insecure-policy": options.insecure_policy})
        options.check()
        return rest

    def invoke(self, ctx: click.Context) -> None:
        """Call the function without the global options, which ``read_global_options`` returns."""
        values = {
            name: value for name, value in ctx.params.items() if name not in GlobalOptions._fields
        }
        if self.callback is not None:
            ctx.invoke(self.callback, **values)

    def collect_sections(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return the options as ``--help`` lists them, by section, global options last."""
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


class CommandGroup(click.Group):
    """A command with subcommands, which are imported when they run.

    ``subcommands`` are the ``module:attribute`` in ``cli.commands`` and the summary of each one.
    """

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - click's
        subcommands: Mapping[str, tuple[str, str]],
        **attributes: Any,  # noqa: ANN401 - click's
    ) -> None:
        super().__init__(*arguments, **attributes)
        self.subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of ``subcommands``."""
        return list(self.subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in self.subcommands:
            return None
        module, _, attribute = self.subcommands[cmd_name][0].partition(":")
        return cast(
            "click.Command", getattr(import_module(f"bundler.cli.commands.{module}"), attribute)
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            UsageError: there is no command, or it does not exist.
        """
        arguments = args or ["--"]
        refuse_repetitions(self, ctx, arguments)
        rest = super().parse_args(ctx, arguments)
        known = ", ".join(self.subcommands)
        name = next(iter(args), "")
        if name not in self.subcommands and not ctx.resilient_parsing:
            from bundler.errors import UsageError  # noqa: PLC0415 - only for errors

            problem = f"unknown command {name[:80]!r}" if name else "no command given"
            raise UsageError(
                f"{ctx.info_name}: {problem} (expected one of {known})",
                hint=f"{ctx.command_path} --help",
            )
        return rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.subcommands.items()])


class GlobalOptions(NamedTuple):
    """Values of the global options; None if unset."""

    quiet: bool = False
    debug: bool = False
    command_timeout: float | None = None
    """In seconds; 0 means no limit."""
    override_arch: str | None = None
    override_os: str | None = None
    override_variant: str | None = None
    policy: Path | None = None
    insecure_policy: bool = False
    require_signed: bool = False
    registries_conf: Path | None = None
    registries_d: Path | None = None
    tls_details: Path | None = None
    tmpdir: Path | None = None
    user_agent_prefix: str = ""

    def check(self) -> None:
        """Raise UsageError if the options are inconsistent."""
        refuse_conflicts(
            {"--insecure-policy": self.insecure_policy, "--require-signed": self.require_signed}
        )
        prefix = self.user_agent_prefix
        if prefix and not (prefix.isascii() and prefix.isprintable()):
            from bundler.errors import UsageError  # noqa: PLC0415 - only for errors

            raise UsageError("--user-agent-prefix: invalid characters (expected printable ASCII)")

    def refuse_policy(self, command: str) -> None:
        """Refuse ``--policy`` and ``--require-signed`` for a command that evaluates no policy."""
        if self.require_signed or self.policy is not None:
            from bundler.errors import UnsupportedError  # noqa: PLC0415 - as above

            name = "--require-signed" if self.require_signed else "--policy"
            raise UnsupportedError(
                f"{name}: unsupported because {command} does not evaluate policy.json",
                hint="export and import apply the policy",
            )


def refuse_repetitions(command: click.Command, ctx: click.Context, arguments: list[str]) -> None:
    """Refuse an option with one value that is given twice, of which click would use the last.

    Raises:
        UsageError: a global option before the command counts as well.
    """
    if ctx.resilient_parsing:  # a shell completes an unfinished line
        return
    order = command.make_parser(ctx).parse_args(list(arguments))[2]
    options = [item for item in order if isinstance(item, click.Option)]
    root = ctx.find_root()
    earlier = {} if root is ctx else root.params
    options += [
        item
        for item in dict.fromkeys(options)
        if item.name in GlobalOptions._fields and earlier.get(item.name) is not None
    ]
    for item in options:
        number = options.count(item)
        if number > 1 and not (item.multiple or item.count or item.is_flag):
            from bundler.errors import UsageError  # noqa: PLC0415 - only for errors

            raise UsageError(
                f"{item.opts[-1]}: given {number} times (expected once)",
                hint=f"{ctx.command_path} --help",
            )


def read_global_options(context: click.Context) -> GlobalOptions:
    """Return the global options that were given before and after the command."""
    from pathlib import Path  # noqa: PLC0415 - not for --help

    given: dict[str, Any] = {
        name: Path(value) if name in _PATHS else value
        for scope in (context.find_root(), context)
        for name, value in scope.params.items()
        if name in GlobalOptions._fields and value not in (None, False)
    }
    return GlobalOptions(**given)


def create_global_parameters(*, hidden: bool) -> list[click.Parameter]:
    """Return the global options for click; ``hidden`` hides all but --quiet and --debug."""

    def option(*spellings: str, hidden: bool = hidden, **attributes: Any) -> click.Option:  # noqa: ANN401 - click's
        return click.Option(spellings, hidden=hidden, **attributes)

    flag = functools.partial(option, is_flag=True)
    file = functools.partial(option, metavar="FILE")
    return [
        flag("-q", "--quiet", hidden=False, help="Print only errors on stderr."),
        flag("--debug", hidden=False, help="Print a traceback for errors."),
        option(
            "--command-timeout",
            type=parse_duration,
            metavar="DURATION",
            help="Cancel the command after this time, such as 90s or 1h30m (default: no limit).",
        ),
        option(
            "--override-os",
            metavar="OS",
            help="Select images for this operating system from indexes.",
        ),
        option(
            "--override-arch",
            metavar="ARCHITECTURE",
            help="Select images for this architecture from indexes.",
        ),
        option(
            "--override-variant",
            metavar="VARIANT",
            help="Select images for this architecture variant from indexes.",
        ),
        file("--policy", help="Read the signature policy from this file instead of policy.json."),
        flag("--insecure-policy", help="Accept every image; do not read policy.json."),
        flag("--require-signed", help="Reject images for which policy.json requires no signature."),
        file("--registries-conf", help="Use this file instead of the main registries.conf."),
        option(
            "--registries.d",
            "registries_d",
            type=click.Path(exists=True, file_okay=False),
            metavar="DIRECTORY",
            help="Read the locations of image signatures from this directory.",
        ),
        file("--tls-details", help="Restrict TLS to the versions and ciphers in this file."),
        option("--tmpdir", metavar="DIRECTORY", help="Directory for large temporary files."),
        option("--user-agent-prefix", metavar="TEXT", help="Prefix of the User-Agent header."),
    ]
