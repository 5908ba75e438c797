"""The command ``airbundle``: selects a front end, and exits with the status of the command."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

import click

from bundler.cli.frontends import frontend
from bundler.cli.runtime.environment import COMPLETION_VARIABLE, read_environment
from bundler.errors import BundlerError, CancelledError, MediumError, RegistryError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.frontends.frontend import Frontend

_SIGPIPE_STATUS = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    _prepare_streams()
    selected, rest = frontend.select(
        sys.argv[0], sys.argv[1:] if arguments is None else arguments, read_environment()
    )
    try:
        status = _run(selected, rest)
        sys.stdout.flush()
    except BrokenPipeError:
        status = _SIGPIPE_STATUS
        _drop_output()
    except OSError as error:
        reason = f"standard output: cannot write: {error.strerror}"
        status = selected.report_error(MediumError(reason))
        _drop_output()
    if status:
        _leave_threads_behind(status)
    sys.exit(status)


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
    match error:
        case BundlerError():
            return error
        case click.UsageError():
            context = error.ctx.command_path if error.ctx else frontend.NAMES[0]
            return UsageError(error.format_message(), hint=f"{context} --help")
        case click.ClickException():
            return UsageError(error.format_message())
        case click.Abort() if isinstance(error.__context__, EOFError):
            return UsageError("standard input: ended at a prompt")
        case click.Abort() | KeyboardInterrupt():
            return CancelledError()
        case ConnectionError() | TimeoutError():
            return RegistryError(f"connection failed: {error}")
        case OSError():
            subject = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            path = os.fsdecode(error.filename) if error.filename else None
            return MediumError(f"{subject}{error.strerror or error}", path=path, os_error=error)
        case MemoryError():
            return BundlerError("out of memory", hint="use fewer --jobs")
        case _:
            return BundlerError(
                f"internal error: {type(error).__name__}: {error}",
                hint="run the command again with --debug, and report the traceback",
            )


def _prepare_streams() -> None:
    """Escape characters that an output cannot encode; replace a closed stdout by /dev/null."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Redirect stdout to /dev/null so that Python's flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave_threads_behind(status: int) -> None:
    """Exit at once after a failure, even if a thread still waits for a silent server."""
    threading = sys.modules.get("threading")
    first = threading and threading.main_thread()
    if threading and any(one is not first and not one.daemon for one in threading.enumerate()):
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
