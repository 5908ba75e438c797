"""How far the work is: bars on a terminal, a line now and then elsewhere; always on stderr.

Events come from any thread and only change numbers. A thread of its own does the writing, so a
slow terminal never holds up the work.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from bundler.cli.output import text as render
from bundler.cli.output.progress_state import ActiveBlob, ProgressState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.events import Event

_TICK = 0.1  # seconds between two frames
_LINE_EVERY = 5.0  # seconds between two lines where there is no terminal
_MOST_BARS = 12
_SHORT_DIGEST = 19  # "sha256:" and twelve digits, as other tools show a blob
_BAR = 24


class Display(Protocol):
    """Turns the state into text; called by one thread at a time, and must not block."""

    def frame(self, tally: ProgressState, notes: Sequence[str], now: float) -> str:
        """What to write now, notes first."""
        ...

    def last(self, lines: Sequence[str]) -> str:
        """What to write at the end, in place of the state."""
        ...


class Progress:
    """Takes events and shows what they add up to; a context manager, used once."""

    def __init__(
        self,
        stream: TextIO,
        display: Display | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._display = display
        self._clock = clock
        self._tally = ProgressState(clock())
        self._notes: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    @classmethod
    def on_stderr(cls, variables: Mapping[str, str], *, quiet: bool) -> Progress:
        """Return a progress display on stderr; with ``quiet`` it shows nothing.

        TERM and CI among the environment's ``variables`` select lines in place of bars.
        """
        return cls(sys.stderr, None if quiet else _display(sys.stderr, variables))

    def emit(self, event: Event, /) -> None:
        """Take an event, from any thread."""
        with self._lock:
            note = self._tally.add(event)
            if note is not None:
                self._notes.append(note)

    def draw(self) -> None:
        """Write the present state; one thread at a time."""
        if self._display is None:
            return
        with self._lock:
            now = self._clock()
            self._tally.sample(now)
            text = self._display.frame(self._tally, self._notes, now)
            self._notes.clear()
        self._write(text)

    def show_interruption(self) -> None:
        """Say what was done and what was not, of work that was stopped; never raises."""
        with self._lock:
            text = self._tally.so_far()
        self._end([text])

    def __enter__(self) -> Self:
        if self._display is not None:
            self._ticker.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with self._lock:
            worked = kind is None and self._tally.planned
            lines = [self._tally.summary(self._clock())] if worked else []
        self._end(lines)

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            self.draw()

    def _end(self, lines: list[str]) -> None:
        """Stop drawing, then write what is left to say."""
        if self._display is None:
            return
        self._over.set()
        if self._ticker.is_alive() and self._ticker is not threading.current_thread():
            self._ticker.join(1.0)
        with self._lock:
            text = self._display.last([*self._notes, *lines])
            self._notes.clear()
        self._write(text)

    def _write(self, text: str) -> None:
        """A terminal that has gone away is no reason to stop the work."""
        if text:
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()


class LogDisplay:
    """For pipes and logs: what there is to do, then where it stands every few seconds."""

    def __init__(self, now: float) -> None:
        self._due = now + _LINE_EVERY
        self._told = False

    def frame(self, tally: ProgressState, notes: Sequence[str], now: float) -> str:
        """Notes at once; the rest when it is due."""
        lines = list(notes)
        if tally.planned and not self._told:
            self._told = True
            lines.append(tally.outlook())
        if tally.planned and now >= self._due:
            self._due = now + _LINE_EVERY
            lines.append(tally.position())
        return _joined(lines)

    def last(self, lines: Sequence[str]) -> str:
        """The lines, below those that stand already."""
        return _joined(lines)


class BarDisplay:
    """For terminals: a line for each blob on its way and one for the whole, redrawn in place.

    A frame is one write without line wraps that overwrites the last one and then erases what is
    left of it, so nothing flickers.
    """

    def __init__(self, screen: Callable[[], os.terminal_size]) -> None:
        self._screen = screen
        self._height = 0

    def frame(self, tally: ProgressState, notes: Sequence[str], now: float) -> str:  # noqa: ARG002 - Display's
        """Notes scroll up and away above the bars."""
        columns, rows = self._screen()
        lines = _bars(tally, rows) if tally.planned or tally.moving else []
        text = self._rewound() + "".join(f"{render.plain(note)}\x1b[K\n" for note in notes)
        self._height = len(lines)
        return text + "".join(f"{line[: columns - 1]}\x1b[K\n" for line in lines) + "\x1b[J"

    def last(self, lines: Sequence[str]) -> str:
        """The lines in place of the bars."""
        text = f"{self._rewound()}\x1b[J" if self._height else ""
        self._height = 0
        return text + _joined(lines)

    def _rewound(self) -> str:
        return f"\x1b[{self._height}F" if self._height else ""


def _bars(tally: ProgressState, rows: int) -> list[str]:
    room = max(min(_MOST_BARS, rows - 3), 0)
    moving = list(tally.moving.items())
    lines = [_bar(digest, blob) for digest, blob in moving[:room]]
    if len(moving) > room > 0:
        lines[-1] = f"and {len(moving) - room + 1} more"
    return [*lines, tally.position()]


def _bar(digest: str, blob: ActiveBlob) -> str:
    filled = _BAR * min(blob.done, blob.size) // blob.size if blob.size else 0
    bar = "#" * filled + "." * (_BAR - filled)
    sizes = f"{render.size(blob.done)} of {render.size(blob.size)}"
    return f"{render.plain(digest[:_SHORT_DIGEST])} {render.plain(blob.activity):<5} {bar} {sizes}"


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{render.plain(line)}\n" for line in lines)


def _display(stream: TextIO, variables: Mapping[str, str]) -> Display:
    dumb = variables.get("TERM", "dumb") == "dumb" or "CI" in variables
    if dumb or not stream.isatty():
        return LogDisplay(time.monotonic())

    def screen() -> os.terminal_size:
        try:
            size = os.get_terminal_size(stream.fileno())
        except OSError:
            return os.terminal_size((80, 24))
        return size if size.columns else os.terminal_size((80, 24))

    return BarDisplay(screen)
