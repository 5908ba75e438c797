"""Progress on stderr: bars on a terminal, periodic lines elsewhere.

Events from any thread only update counters. A separate thread writes the display, so that a slow
terminal does not delay the run.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TextIO

from bundler import events
from bundler.cli.output.text import (
    count,
    describe_reuse,
    escape,
    format_duration,
    format_size,
    format_total,
)
from bundler.errors import be
from bundler.events import BlobTotal, TransferTotals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bundler.events import Activity, Event

_FRAME_INTERVAL = 0.1  # seconds between two frames
_LINE_INTERVAL = 5.0  # seconds between two lines without a terminal
_WINDOW = 10.0  # seconds over which the rate is measured
_MIN_WINDOW = 3.0  # seconds before the rate is sufficient to estimate the time left
_MAX_EXTRAPOLATION = 500  # longest estimate of the time left, as a multiple of the time so far
_MAX_BARS = 12
_SHORT_DIGEST = 19  # "sha256:" and twelve digits, the usual short form of a digest
_BAR_WIDTH = 24


class Progress:
    """A display of progress events; a context manager, used once."""

    def __init__(
        self,
        stream: TextIO,
        display: LogDisplay | BarDisplay,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._display = display
        self._clock = clock
        self._state = ProgressState(clock())
        self._notes: list[str] = []
        self._lock = threading.Lock()
        self._over = threading.Event()

        def draw_until_end() -> None:
            while not self._over.wait(_FRAME_INTERVAL):
                self.draw()

        self._ticker = threading.Thread(target=draw_until_end, daemon=True)

    @classmethod
    def on_stderr(cls, variables: Mapping[str, str]) -> Progress:
        """Return a display of bars on a terminal, of lines elsewhere.

        TERM and CI in the environment ``variables`` can select lines for a terminal.
        """
        stream = sys.stderr
        dumb = variables.get("TERM", "dumb") == "dumb" or "CI" in variables
        if dumb or not stream.isatty():
            return cls(stream, LogDisplay(time.monotonic()))

        def screen() -> os.terminal_size:
            with suppress(OSError):
                size = os.get_terminal_size(stream.fileno())
                if size.columns:
                    return size
            return os.terminal_size((80, 24))

        return cls(stream, BarDisplay(screen))

    def emit(self, event: Event, /) -> None:
        """Add an event; may be called from any thread."""
        with self._lock:
            if isinstance(event, events.Planned) and self._state.only_checks:
                self._state = ProgressState(self._clock())  # the verification has ended
            note = self._state.add(event)
            if note is not None:
                self._notes.append(note)

    def draw(self) -> None:
        """Write the current state; must not be called from two threads at once."""
        with self._lock:
            now = self._clock()
            self._state.sample(now)
            text = self._display.draw(self._state, self._notes, now)
            self._notes.clear()
        self._write(text)

    def show_interruption(self) -> None:
        """Write which work was completed before the interruption; never raises."""
        with self._lock:
            text = self._state.describe_interruption()
        self._end([text])

    def __enter__(self) -> Self:
        self._ticker.start()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        with self._lock:
            worked = kind is None and self._state.planned
            lines = [self._state.describe_result(self._clock())] if worked else []
        self._end(lines)

    def _end(self, lines: list[str]) -> None:
        """Stop drawing, then write the remaining notes and ``lines``."""
        self._over.set()
        if self._ticker.is_alive() and self._ticker is not threading.current_thread():
            self._ticker.join(1.0)
        with self._lock:
            text = self._display.finish([*self._notes, *lines])
            self._notes.clear()
        self._write(text)

    def _write(self, text: str) -> None:
        """Write to the stream; ignore a closed terminal."""
        if text:
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()


class LogDisplay:
    """A display for pipes and logs: the plan, then the position every few seconds."""

    def __init__(self, now: float) -> None:
        self._due = now + _LINE_INTERVAL
        self._announced = False

    def draw(self, state: ProgressState, notes: Sequence[str], now: float) -> str:
        """Return notes immediately, and the position every few seconds."""
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
    """A display for terminals: a bar for each active blob and a total line, redrawn in place.

    A frame is one write without line wraps that overwrites the previous frame and then erases its
    rest, which avoids flicker.
    """

    def __init__(self, screen: Callable[[], os.terminal_size]) -> None:
        self._screen = screen
        self._height = 0

    def draw(self, state: ProgressState, notes: Sequence[str], now: float) -> str:  # noqa: ARG002 - as LogDisplay's
        """Return the bars, with notes above them."""
        columns, rows = self._screen()
        lines = []
        if state.planned or state.moving:
            room = max(min(_MAX_BARS, rows - 3), 0)
            for digest, blob in list(state.moving.items())[:room]:
                filled = _BAR_WIDTH * min(blob.done, blob.size) // blob.size if blob.size else 0
                bar = "#" * filled + "." * (_BAR_WIDTH - filled)
                sizes = f"{format_size(blob.done)} of {format_size(blob.size)}"
                short = escape(digest[:_SHORT_DIGEST])
                lines.append(f"{short} {escape(blob.activity):<5} {bar} {sizes}")
            if len(state.moving) > room > 0:
                lines[-1] = f"and {len(state.moving) - room + 1} more"
            lines.append(state.describe_position())
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


def _describe_event(event: Event) -> str | None:
    """Return a note for the user about one event, or None."""
    match event:
        case events.BlobResumed(digest, size) if size > 0:
            return f"{digest}: resumed: {format_size(size)} already stored"
        case events.Retrying(_, wait, reason, attempt, int(repeats)):
            again = f"{attempt}/{repeats}"
            return f"failed, retrying in {format_duration(wait)} ... ({again}): {reason}"
        case events.Retrying(reason=reason, patience=float(patience)):
            return f"{reason}; retrying for up to {format_duration(patience)}"
        case events.Retrying(subject, wait, reason, attempt):
            return f"{subject}: {reason}; attempt {attempt + 1} in {format_duration(wait)}"
        case events.Notice(text):
            return text
        case events.WarningIssued(text):
            return f"warning: {text}"
        case _:
            return None


def _join_lines(lines: Sequence[str]) -> str:
    return "".join(f"{escape(line)}\n" for line in lines)


@dataclass(slots=True)
class ActiveBlob:
    """A blob that is being transferred, possibly to several destinations at once."""

    activity: Activity
    size: int = 0
    done: int = 0
    transfers: int = 0


class ProgressState:
    """Totals of events; not thread-safe. Times are seconds of one monotonic clock."""

    def __init__(self, now: float) -> None:
        self.planned = False
        self.finished = 0
        self.moved = 0
        self.moving: dict[str, ActiveBlob] = {}
        self.checked = 0
        self._plan = TransferTotals()
        self._completed = TransferTotals()
        self.only_checks = False
        self._transferred = 0
        self._unfinished = 0
        self._keeps_blobs = True
        self._published = 0
        self._began = now
        self._moving_since = now
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, event: Event) -> str | None:
        """Add one event; return a note for the user, or None."""
        match event:
            case events.Planned(totals, activity, keeps_blobs):
                self.planned = True
                self._keeps_blobs = keeps_blobs
                self.only_checks = activity == "check"
                self._plan += totals
            case events.Completed(totals):
                self._completed += totals
            case events.PushAdded(size, was_checked):
                less = BlobTotal(-1, -size)
                self._plan += TransferTotals(BlobTotal(1, size))
                if was_checked:
                    self._plan += TransferTotals(present=less, checked=less)
                else:
                    self._plan += TransferTotals(mounted=less)
            case events.BlobStarted(digest, size, activity):
                moving = self.moving.setdefault(digest, ActiveBlob(activity))
                moving.size += size or 0
                moving.transfers += 1
            case events.BlobProgressed(digest, advance):
                self.moved += advance
                if digest in self.moving:
                    blob = self.moving[digest]
                    blob.done += advance
            case events.BlobFinished(digest, failed, kept):
                self._finish(digest, failed=failed)
                self._unfinished += kept
            case events.ImagePublished():
                self._published += 1
            case _:  # a note for the user, or printed by reports, or by another front end
                pass
        return _describe_event(event)

    def sample(self, now: float) -> None:
        """Record the position for the rate; to be called a few times per second at most."""
        if not self.moved:  # the rate does not include the time before the first byte
            self._samples.clear()
            self._moving_since = now
        self._samples.append((now, self.moved))
        while len(self._samples) > 2 and self._samples[0][0] < now - _WINDOW:
            self._samples.popleft()

    @property
    def total(self) -> int:
        """Number of bytes to transfer or hash, as far as known."""
        return max(self._plan.pushed.size + self._plan.checked.size, self.moved)

    @property
    def rate(self) -> float:
        """Recent transfer rate in bytes per second."""
        (before, then), (after, now) = self._samples[0], self._samples[-1]
        return max(now - then, 0) / (after - before) if after > before else 0.0

    def describe_position(self) -> str:
        """Return ``12 of 43 blobs, 1.2 GiB of 3.4 GiB (35 %), 120.3 MiB/s, 18 s left``."""
        blobs = self._plan.pushed.blobs + max(self._plan.checked.blobs, self.checked)
        is_complete = 0 < blobs == self.finished + self.checked and not self.only_checks
        parts = [
            f"{self.finished + self.checked} of {count(blobs, self._noun)}",
            f"{format_size(self.moved)} of {format_size(self.total)} ({self.percent} %)",
        ]
        left = self.total - self.moved
        if is_complete:
            parts.append("waiting for manifests and names")
        elif self.moving and not left:
            parts.append("waiting until everything is stored")
        else:
            parts.append(f"{format_size(self.rate)}/s")
        now = self._samples[-1][0]
        longest = (now - self._moving_since) * _MAX_EXTRAPOLATION
        measured = now - self._samples[0][0] >= _MIN_WINDOW
        if left and measured and left <= self.rate * longest:
            parts.append(f"{format_duration(left / self.rate)} left")
        return ", ".join(parts)

    @property
    def percent(self) -> int:
        """Completed percentage, rounded down, so that 100 means complete."""
        return 100 * self.moved // self.total if self.total else 100

    @property
    def blobs(self) -> int:
        """The number of blobs to transfer, or of files to verify."""
        return self._work.blobs

    def describe_plan(self) -> str:
        """Describe the work that is planned."""
        verb = "check" if self.only_checks else "transfer"
        work = f"{count(self.blobs, self._noun)} to {verb}, {format_size(self._work.size)}"
        return work if self.only_checks else f"{work}{describe_reuse(self._plan)}"

    def describe_result(self, now: float) -> str:
        """Describe the finished work."""
        took, totals = now - self._began, self._completed
        done = totals.checked if self.only_checks else totals.pushed
        rate = f", {format_size(done.size / took)}/s" if took >= 1 else ""
        work = f"{count(done.blobs, self._noun)}, {format_size(done.size)}"
        text = f"{work} in {format_duration(took)}{rate}"
        if self.only_checks:
            return text
        checked = totals.checked
        reuse = describe_reuse(totals)
        return text + reuse + (f"; checked: {format_total(checked)}" if checked.blobs else "")

    def describe_interruption(self) -> str:
        """Describe the work completed before an interruption."""
        if not self.planned:
            return "nothing was transferred yet"
        done = (
            f"{self.finished} of {count(self.blobs, self._noun)}"
            f" ({format_size(self._transferred)}"
            f" of {format_size(max(self._work.size, self._transferred))})"
        )
        if self.only_checks:
            return f"{done} {be(self.finished, past=True)} checked"

        names = count(self._published, "name") if self._published else "no name"
        verb = be(self._published or 1, past=True)
        kept = "transferred and kept" if self._keeps_blobs else "transferred, but not kept"
        if self._unfinished:
            kept += f", and {format_size(self._unfinished)} of unfinished blobs"
        return f"{done} {kept}; {names} {verb} published"

    @property
    def _work(self) -> BlobTotal:
        return self._plan.checked if self.only_checks else self._plan.pushed

    @property
    def _noun(self) -> str:
        """The noun for counts; a verification also reads files that are not blobs."""
        return "file" if self.only_checks else "blob"

    def _finish(self, digest: str, *, failed: bool) -> None:
        moving = self.moving.get(digest)
        if moving is None:
            return
        if not failed and (self.only_checks or moving.activity == "copy"):
            self.finished += 1
            self._transferred += moving.size // moving.transfers
        elif not failed:
            self.checked += 1
        moving.size -= moving.size // moving.transfers
        moving.transfers -= 1
        if moving.transfers == 0:
            del self.moving[digest]
