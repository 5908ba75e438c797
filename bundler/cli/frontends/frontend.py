"""The interface of a front end: airbundle's own command line, or that of a replaced program.

A front end parses the arguments, calls functions of ``bundler.images`` and ``bundler.bundle``, and
prints their results. Its modules are imported only when it is selected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cli.runtime.environment import Environment
    from bundler.errors import BundlerError
    from bundler.events import Event


class ProgressView(Protocol):
    """A display of the progress of one command; a context manager, used once."""

    def emit(self, event: Event, /) -> None:
        """Show an event; may be called from any thread."""
        ...

    def show_interruption(self) -> None:
        """Report which work a cancelled command has completed; never raises."""
        ...

    def __enter__(self) -> Self:
        """Start the display."""
        ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Show the final state."""
        ...


class Frontend(Protocol):
    """A command line; its methods may be called from any thread."""

    @property
    def environment(self) -> Environment:
        """The environment of the process."""
        ...

    def run(self, arguments: Sequence[str], /) -> int:
        """Run the command that ``arguments`` specify; return the exit status.

        Exceptions of the command pass through; the caller reports them with ``report_error``.
        """
        ...

    def complete(self, instruction: str, /) -> int:
        """Run click's completion ``instruction``; return the exit status."""
        ...

    def show_progress(self, *, quiet: bool) -> ProgressView | None:
        """Return the display for a command; None if it displays nothing."""
        ...

    def report_error(self, error: BundlerError, /) -> int:
        """Print an error; return its exit status."""
        ...

    def report_traceback(self, text: str, /) -> None:
        """Print the traceback of an error, for ``--debug``."""
        ...
