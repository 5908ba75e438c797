"""The command ``airbundle``: the entry point. Read ``program`` next.

An interruption ends the process immediately while the modules of the program are imported, and is
ignored when the command has ended. This module therefore imports only what Python has loaded.
"""

import _signal  # type: ignore[import-not-found]  # ``signal`` without its enumerations
import os

_INTERRUPTED = 128 + 2


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its status."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    try:
        from bundler.cli.program import run_program  # noqa: PLC0415 - after the handler

        run_program(arguments)
    finally:
        _signal.signal(_signal.SIGINT, _signal.SIG_IGN)


if __name__ == "__main__":
    main()
