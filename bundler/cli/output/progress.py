"""Progress on stderr: bars on a terminal, periodic lines elsewhere.

Events may come from any thread and only change numbers. A separate thread writes, so that a slow
terminal does not delay the run.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from bundler.cli.output.progress_state import ActiveBlob, ProgressState
from bundler.cli.output.text import escape, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.events import Event

_FRAME_INTERVAL = 0.1  # seconds between two frames
_LINE_INTERVAL = 5.0  # seconds between two lines without a terminal
_MAX_BARS = 12
_SHORT_DIGEST = 19  # "sha256:" and twelve digits, the usual short form of a digest
_BAR_WIDTH = 24


class Display(Protocol):
    """Formatter of the state; called by one thread at a time, must not block."""

    def draw(self, state: ProgressState, notes: Sequence[str], now: float) -> str:
        """Return the text to write now, notes first."""
        ...

    def finish(self, lines: Sequence[str]) -> str:
        """Return the text that replaces the state at the end."""
        ...


class Progress:
    """Progress display that is fed with events; a context manager, used once."""

    def __init__(
        self,
        stream: TextIO,
        display: Display | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._display = display
        self._clock = clock
        self._state = ProgressState(clock())
        self._notes: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    @classmethod
    def on_stderr(cls, variables: Mapping[str, str], *, quiet: bool) -> Progress:
        """Return a progress display on stderr; with ``quiet``, it displays nothing.

        TERM and CI in the environment ``variables`` can select lines instead of bars.
        """
        return cls(sys.stderr, None if quiet else _choose_display(sys.stderr, variables))

    def emit(self, event: Event, /) -> None:
        """Add an event; may be called from any thread."""
        with self._lock:
            note = self._state.add(event)
            if note is not None:
                self._notes.append(note)

    def draw(self) -> None:
        """Write the current state; must not be called by two threads at once."""
        if self._display is None:
            return
        with self._lock:
            now = self._clock()
            self._state.sample(now)
            text = self._display.draw(self._state, self._notes, now)
            self._notes.clear()
        self._write(text)

    def show_interruption(self) -> None:
        """Write what was done before the run was interrupted; never raises."""
        with self._lock:
            text = self._state.describe_interruption()
        self._end([text])

    def __enter__(self) -> Self:
        if self._display is not None:
            self._ticker.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with self._lock:
            worked = kind is None and self._state.planned
            lines = [self._state.describe_result(self._clock())] if worked else []
        self._end(lines)

    def _tick(self) -> None:
        while not self._over.wait(_FRAME_INTERVAL):
            self.draw()

    def _end(self, lines: list[str]) -> None:
        """Stop drawing, then write the remaining notes and ``lines``."""
        if self._display is None:
            return
        self._over.set()
        if self._ticker.is_alive() and self._ticker is not threading.current_thread():
            self._ticker.join(1.0)
        with self._lock:
            text = self._display.finish([*self._notes, *lines])
            self._notes.clear()
        self._write(text)

    def _write(self, text: str) -> None:
        """Write to the stream; a closed terminal does not end the run."""
        if text:
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()


class LogDisplay:
    """Display for pipes and logs: the plan, then the position every few seconds."""

    def __init__(self, now: float) -> None:
        self._due = now + _LINE_INTERVAL
        self._announced = False

    def draw(self, state: ProgressState, notes: Sequence[str], now: float) -> str:
        """Return notes immediately, the position at its interval."""
        lines = list(notes)
        if state.planned and not self._announced:
            self._announced = True
            lines.append(state.describe_plan())
        if state.planned and now >= self._due:
            self._due = now + _LINE_INTERVAL
            lines.append(state.describe_position())
        return _join_lines(lines)

    def finish(self, lines: Sequence[str]) -> str:
        """Return the lines."""
        return _join_lines(lines)


class BarDisplay:
    """Display for terminals: a bar for each active blob and a line for the total, redrawn in place.

    A frame is one write without line wraps that overwrites the previous frame and then erases its
    rest, which avoids flicker.
    """

    def __init__(self, screen: Callable[[], os.terminal_size]) -> None:
        self._screen = screen
        self._height = 0

    def draw(self, state: ProgressState, notes: Sequence[str], now: float) -> str:  # noqa: ARG002 - Display's
        """Return the bars, with notes above them."""
        columns, rows = self._screen()
        lines = _format_bars(state, rows) if state.planned or state.moving else []
        text = self._rewind() + "".join(f"{escape(note)}\x1b[K\n" for note in notes)
        self._height = len(lines)
        return text + "".join(f"{line[: columns - 1]}\x1b[K\n" for line in lines) + "\x1b[J"

    def finish(self, lines: Sequence[str]) -> str:
        """Return the lines in place of the bars."""
        text = f"{self._rewind()}\x1b[J" if self._height else ""
        self._height = 0
        return text + _join_lines(lines)

    def _rewind(self) -> str:
        return f"\x1b[{self._height}F" if self._height else ""


def _format_bars(state: ProgressState, rows: int) -> list[str]:
    room = max(min(_MAX_BARS, rows - 3), 0)
    moving = list(state.moving.items())
    lines = [_format_bar(digest, blob) for digest, blob in moving[:room]]
    if len(moving) > room > 0:
        lines[-1] = f"and {len(moving) - room + 1} more"
    return [*lines, state.describe_position()]


def _format_bar(digest: str, blob: ActiveBlob) -> str:
    filled = _BAR_WIDTH * min(blob.done, blob.size) // blob.size if blob.size else 0
    bar = "#" * filled + "." * (_BAR_WIDTH - filled)
    sizes = f"{format_size(blob.done)} of {format_size(blob.size)}"
    return f"{escape(digest[:_SHORT_DIGEST])} {escape(blob.activity):<5} {bar} {sizes}"


def _join_lines(lines: Sequence[str]) -> str:
    return "".join(f"{escape(line)}\n" for line in lines)


def _choose_display(stream: TextIO, variables: Mapping[str, str]) -> Display:
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
