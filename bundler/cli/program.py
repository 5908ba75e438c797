"""One run of the program: selects a front end, and exits with the status of the command."""

from __future__ import annotations

import os
import resource
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, cast

from bundler.cli import frontends
from bundler.cli.runtime.environment import COMPLETION_VARIABLE, read_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import Frontend
    from bundler.cli.runtime.environment import Environment
    from bundler.errors import BundlerError

_SIGPIPE_STATUS = 141


def run_program(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    if sys.stdout is None:  # the caller closed it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - to the end
    _leave_memory_out_of_core_files()
    if not sys.warnoptions:  # libraries warn about untrusted content, such as odd certificates
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    selected, rest = select_frontend(
        sys.argv[0], sys.argv[1:] if arguments is None else arguments, read_environment()
    )
    try:
        status = _run(selected, rest)
        sys.stdout.flush()
    except BrokenPipeError:
        status = _SIGPIPE_STATUS
        _drop_output()
    except OSError as error:
        from bundler.errors import MediumError  # noqa: PLC0415 - only for errors

        reason = f"standard output: cannot write: {error.strerror}"
        status = selected.report_error(MediumError(reason))
        _drop_output()
    threading = sys.modules.get("threading")
    if status and threading:
        first = threading.main_thread()
        if any(thread is not first and not thread.daemon for thread in threading.enumerate()):
            sys.stderr.flush()
            os._exit(status)  # a thread may still wait for an unresponsive server
    sys.exit(status)


def _leave_memory_out_of_core_files() -> None:
    """Exclude passphrases, tokens and keys from core files, also those of child processes.

    The limit does not apply if the kernel passes core files to a program, or if it is raised from
    outside. With the filter, core files contain no memory; see core(5).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(OSError):  # some kernels have no filter, and some containers no /proc
        file = os.open("/proc/self/coredump_filter", os.O_WRONLY)  # pathlib delays every start
        try:
            os.write(file, b"0")
        finally:
            os.close(file)


def select_frontend(
    program: str, arguments: Sequence[str], environment: Environment
) -> tuple[Frontend, list[str]]:
    """Return the front end for a command line, and the arguments without a leading ``--as NAME``.

    Args:
        program: the path under which the program was started; its last part may be a name.
        arguments: the command line after it. ``--as NAME`` has precedence over ``program``; the
            native front end reports an unknown NAME.
        environment: the environment of the process.
    """
    name, rest = program.rpartition("/")[2], list(arguments)
    if rest and rest[0].startswith("--as="):
        rest[:1] = rest[0].split("=", 1)
    if rest[:1] == ["--as"] and rest[1:] and rest[1] in frontends.CLASSES:
        name, rest = rest[1], rest[2:]
    location = frontends.CLASSES.get(name, frontends.CLASSES["airbundle"])
    module, _, attribute = location.partition(":")
    frontend = getattr(import_module(f"bundler.cli.frontends.{module}"), attribute)
    return cast("Frontend", frontend(environment)), rest


def _run(selected: Frontend, arguments: list[str]) -> int:
    """Run one command and report its failure; return the exit status."""
    try:
        if instruction := selected.environment.variables.get(COMPLETION_VARIABLE):
            return selected.complete(instruction)
        return selected.run(arguments)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - no traceback without --debug
        if "--debug" in arguments:
            import traceback  # noqa: PLC0415 - rarely needed

            selected.report_traceback(traceback.format_exc())
        return selected.report_error(_to_bundler_error(error))


def _to_bundler_error(error: BaseException) -> BundlerError:
    """Return the error that reports an exception to the user."""
    import click  # noqa: PLC0415 - only for errors

    from bundler import errors  # noqa: PLC0415 - as above

    match error:
        case errors.BundlerError():
            return error
        case click.UsageError():
            context = error.ctx.command_path if error.ctx else "airbundle"
            message = " ".join(error.format_message().split())  # click lists choices on lines
            return errors.UsageError(message, hint=f"{context} --help")
        case click.ClickException():
            return errors.UsageError(error.format_message())
        case click.Abort() if isinstance(error.__context__, EOFError):
            return errors.UsageError("standard input: unexpected end of input at a prompt")
        case click.Abort():  # a prompt was interrupted, before the run
            return errors.CancelledError(hint=None)
        case KeyboardInterrupt():
            return errors.CancelledError()
        case ConnectionError() | TimeoutError():
            return errors.RegistryError(f"connection failed: {error}")
        case OSError():
            path = os.fsdecode(error.filename) if error.filename else None
            subject = f"{path}: " if path else ""
            return errors.MediumError(
                f"{subject}{error.strerror or error}", path=path, os_error=error
            )
        case ModuleNotFoundError() if not str(error.name).startswith("bundler"):
            return errors.UnsupportedError(
                f"the Python module {error.name} is not installed",
                hint="install airbundle again, with all its dependencies",
            )
        case MemoryError():
            return errors.BundlerError("out of memory", hint="use fewer --jobs")
        case _:
            return errors.BundlerError(
                f"internal error: {type(error).__name__}: {error}",
                hint="run the command again with --debug, and report the traceback",
            )


def _drop_output() -> None:
    """Redirect stdout to /dev/null so that Python's flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
