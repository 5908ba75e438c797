"""The command ``airbundle``: a table of commands, and the one place that sets exit statuses.

A command's module is imported when the command is run; listing the commands imports none.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, cast

import click

from bundler import __version__
from bundler.cli.frontends import frontend
from bundler.cli.options import program_flags
from bundler.errors import BundlerError, CancelledError, MediumError, RegistryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = frontend.NAMES[0]

SECTIONS = {
    "Bundles": {
        "export": (
            "bundler.cli.commands.bundles.export:export",
            "Write a signed bundle from a bundle manifest.",
        ),
        "verify": (
            "bundler.cli.commands.bundles.verify:verify",
            "Check a bundle and its signatures.",
        ),
        "import": (
            "bundler.cli.commands.bundles.import_:import_",
            "Push the images of a bundle to a target.",
        ),
        "plan": ("bundler.cli.commands.bundles.plan:plan", "Show what an export would transfer."),
        "lock": (
            "bundler.cli.commands.bundles.lock:lock",
            "Pin the images of a bundle manifest to their digests.",
        ),
        "ls": ("bundler.cli.commands.bundles.ls:ls", "List the images of a bundle."),
        "sign": ("bundler.cli.commands.bundles.sign:sign", "Add a signature to a bundle."),
    },
    "Images": {
        "copy": ("bundler.cli.commands.images.copy:copy", "Copy one image."),
        "sync": (
            "bundler.cli.commands.images.sync:sync",
            "Copy many images, only those that are missing.",
        ),
        "inspect": (
            "bundler.cli.commands.images.inspect:inspect",
            "Show the properties of an image or artifact.",
        ),
        "list-tags": (
            "bundler.cli.commands.images.list_tags:list_tags",
            "List the tags of a repository.",
        ),
        "delete": (
            "bundler.cli.commands.images.delete:delete",
            "Delete an image from a registry or a layout.",
        ),
        "manifest-digest": (
            "bundler.cli.commands.images.manifest_digest:manifest_digest",
            "Compute the digest of a manifest in a file.",
        ),
    },
    "Registries and keys": {
        "login": (
            "bundler.cli.commands.credentials.login:login",
            "Store the credentials for a registry.",
        ),
        "logout": (
            "bundler.cli.commands.credentials.logout:logout",
            "Remove the credentials for a registry.",
        ),
        "keygen": (
            "bundler.cli.commands.credentials.keygen:keygen",
            "Create a key pair for signing bundles.",
        ),
    },
}
"""The sections of ``--help``: each command with its ``module:attribute`` and its summary."""

COMMANDS = {name: item for section in SECTIONS.values() for name, item in section.items()}

HIDDEN = {
    "completion": "bundler.cli.commands.completion:completion",
    "experimental-image-proxy": "bundler.cli.commands.images.image_proxy:image_proxy",
    "layers": "bundler.cli.commands.images.layers:layers",
}
"""Commands for other programs and old scripts, which ``--help`` does not list."""

_SIGPIPE_STATUS = 141
_COMPLETE = "_AIRBUNDLE_COMPLETE"


class LazyGroup(click.Group):
    """A group that imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        location = HIDDEN[cmd_name] if cmd_name in HIDDEN else COMMANDS[cmd_name][0]
        module, _, attribute = location.partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that ``args`` begin with.

        Raises:
            UsageError: there is none; the hint names the nearest.
        """
        if args[0] not in {*COMMANDS, *HIDDEN} and not ctx.resilient_parsing:
            raise UsageError(f"there is no command {args[0][:80]!r}", hint=_nearest(args[0]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands by section, without importing them."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()])


def _stands_first(context: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001
    if value is not None:  # where it has its place, the voice has taken it
        raise UsageError("--as has to stand before everything else")


@click.group(
    name=PROGRAM,
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Each command has a --help of its own.",
    params=program_flags.flags(hidden=False),
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.option(
    "--as",
    "name",
    type=click.Choice(frontend.NAMES[1:]),
    expose_value=False,
    callback=_stands_first,
    help="Behave as this program; must be the first argument.",
)
@click.pass_context
def airbundle(ctx: click.Context) -> None:
    """Carry container images, with their signatures and SBOMs, across an air gap."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(UsageError.exit_status)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status; nothing else in the program does."""
    _prepare_streams()
    try:
        status = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        status = _SIGPIPE_STATUS
        _drop_output()
    except OSError as error:
        what = f"the standard output cannot be written: {error.strerror}"
        status = frontend.current().failure(MediumError(what))
        _drop_output()
    if status:
        _leave_threads_behind(status)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Run one command; its exit status."""
    try:
        if instruction := os.environ.get(_COMPLETE):  # noqa: TID251 - how shells ask click
            from bundler.cli.commands import completion  # noqa: PLC0415 - only for shells

            frontend.choose(sys.argv[0], ())
            return completion.answer(frontend.current().grammar(airbundle), instruction)
        rest = frontend.choose(sys.argv[0], arguments)
        translated = frontend.current().arguments(rest, airbundle)
        with airbundle.make_context(PROGRAM, translated) as context:
            airbundle.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - nobody is shown a traceback
        if "--debug" in arguments:
            import traceback  # noqa: PLC0415 - rarely needed

            frontend.current().trace(traceback.format_exc())
        return frontend.current().failure(_understand(error))
    return 0


def _understand(error: BaseException) -> BundlerError:
    """What an exception means to the user."""
    match error:
        case BundlerError():
            return error
        case click.UsageError():
            context = error.ctx.command_path if error.ctx else PROGRAM
            return UsageError(error.format_message(), hint=f"{context} --help")
        case click.ClickException():
            return UsageError(error.format_message())
        case click.Abort() if isinstance(error.__context__, EOFError):
            return UsageError("a question was not answered: there is no more input")
        case click.Abort() | KeyboardInterrupt():
            return CancelledError()
        case ConnectionError() | TimeoutError():
            return RegistryError(f"the connection failed: {error}")
        case OSError():
            where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            path = os.fsdecode(error.filename) if error.filename else None
            return MediumError(f"{where}{error.strerror or error}", path=path, os_error=error)
        case MemoryError():
            return BundlerError("out of memory", hint="use fewer --jobs")
        case _:
            return BundlerError(
                f"internal error: {type(error).__name__}: {error}",
                hint="run it again with --debug, and report what that prints",
            )


def _prepare_streams() -> None:
    """No name of a file or an image makes a print fail, and a closed output is an empty one."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still buffered goes nowhere, or Python would complain while it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave_threads_behind(status: int) -> None:
    """After a failure, a thread that still waits for a silent server does not hold up the end."""
    threading = sys.modules.get("threading")
    first = threading and threading.main_thread()
    if threading and any(one is not first and not one.daemon for one in threading.enumerate()):
        sys.stderr.flush()
        os._exit(status)


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only a slip of the pen needs it

    found = get_close_matches(name, COMMANDS, n=1)
    return f"did you mean {found[0]!r}?" if found else f"{PROGRAM} --help lists them"


if __name__ == "__main__":
    main()
