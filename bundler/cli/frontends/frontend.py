"""How the program speaks: in its own voice, or in another program's whose name it goes by.

A voice reads what was typed, shows the work, and tells what came of it. Commands know of none;
they ask for the ``current`` one.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, Protocol, Self

from bundler.errors import CancelledError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

    from bundler.errors import BundlerError
    from bundler.events import Event

NAMES = ("airbundle", "skopeo")
"""The names to which the program answers, its own first."""


class ProgressView(Protocol):
    """What the user sees of work while it goes on; a context manager, used once."""

    def emit(self, event: Event, /) -> None:
        """Take an event, from any thread."""
        ...

    def last_words(self) -> None:
        """Say what was done and what was not, of work that was stopped; never raises."""
        ...

    def __enter__(self) -> Self:
        """Begin to show it."""
        ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """Show the end."""
        ...


class Frontend(Protocol):
    """A way to speak; its methods may be called from any thread."""

    @property
    def name(self) -> str:
        """The program that speaks so."""
        ...

    def grammar(self, group: click.Group, /) -> click.Group:
        """The commands and options that may be typed, for shells that complete them.

        ``group`` holds our own commands.
        """
        ...

    def arguments(self, typed: Sequence[str], group: click.Group, /) -> list[str]:
        """What was typed, as a command line for ``group``, which holds our own commands.

        Raises:
            UsageError: it makes no sense in this voice.
            click.exceptions.Exit: it is answered.
        """
        ...

    def showing(self, *, quiet: bool) -> ProgressView:
        """What shows the work of a command."""
        ...

    @property
    def tells_outcomes(self) -> bool:
        """Whether a command that was not asked to print anything says what it did."""
        ...

    def ask(self, what: Literal["username", "password"], *, username: str = "") -> str:
        """Ask the user for a name, or for the password of ``username``.

        Raises:
            UsageError: there is nobody to answer.
        """
        ...

    def logging_in(self, registry: str, *, again: bool) -> None:
        """Say that credentials are about to be checked, known ones if ``again``."""
        ...

    def kept(self, where: str) -> None:
        """Say where credentials are kept now."""
        ...

    def trace(self, trace: str, /) -> None:
        """Show, to whoever debugs, where in the program an error comes from."""
        ...

    def failure(self, error: BundlerError, /) -> int:
        """Say what went wrong; the exit status that goes with it."""
        ...


class NativeFrontend:
    """As ``airbundle``."""

    tells_outcomes = True

    @property
    def name(self) -> str:
        """Our own."""
        return NAMES[0]

    def grammar(self, group: click.Group, /) -> click.Group:
        """The same."""
        return group

    def arguments(self, typed: Sequence[str], group: click.Group, /) -> list[str]:  # noqa: ARG002
        """The same."""
        return list(typed)

    def showing(self, *, quiet: bool) -> ProgressView:
        """Bars or lines on stderr."""
        from bundler.cli.output.progress import Progress  # noqa: PLC0415 - only who works needs it

        return Progress.on_stderr(quiet=quiet)

    def ask(self, what: Literal["username", "password"], *, username: str = "") -> str:
        """On the terminal's stderr, so that stdout has data only."""
        import click  # noqa: PLC0415 - few commands ask

        text = "Username" if what == "username" else f"Password of {username}"
        answer: str = click.prompt(text, hide_input=what == "password", err=True)
        return answer

    def logging_in(self, registry: str, *, again: bool) -> None:
        """Nothing: what comes of it is said soon enough."""

    def kept(self, where: str) -> None:
        """The file or the helper."""
        from bundler.cli.output import text as render  # noqa: PLC0415 - not for --help

        render.line(f"Used: {where}")

    def trace(self, trace: str, /) -> None:
        """As Python writes it, on stderr."""
        sys.stderr.write(trace)

    def failure(self, error: BundlerError, /) -> int:
        """What, and the next step, on stderr; a status for each kind of next step."""
        from bundler.cli.output import text as render  # noqa: PLC0415 - not needed where nothing fails

        render.failure(error)
        return error.status if isinstance(error, CancelledError) else error.exit_status


_current: Frontend = NativeFrontend()


def current() -> Frontend:
    """The voice of this run."""
    return _current


def choose(program: str, typed: Sequence[str]) -> list[str]:
    """Take the voice that ``--as NAME`` at the front asks for, or else the name of ``program``.

    Args:
        program: the path by which the program was started.
        typed: its arguments.

    Returns:
        The arguments without ``--as``.

    Raises:
        UsageError: there is no such voice.
    """
    global _current  # noqa: PLW0603 - one process speaks in one voice
    name, rest = program.rpartition("/")[2], list(typed)
    if rest and (rest[0] == "--as" or rest[0].startswith("--as=")):
        first = rest.pop(0)
        name = first[5:] if first != "--as" else rest.pop(0) if rest else ""
        if name not in NAMES:
            raise UsageError(f"--as: {name[:80]!r} is none of {', '.join(NAMES)}")
    if name == "skopeo":
        from bundler.cli.frontends.skopeo.frontend import SkopeoFrontend  # noqa: PLC0415 - for those who want it

        _current = SkopeoFrontend()
    else:
        _current = NativeFrontend()
    return rest
