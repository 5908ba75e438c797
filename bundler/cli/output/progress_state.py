"""State of a run, computed from its events, and sentences about it. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import events
from bundler.cli.output.text import count, format_duration, format_size
from bundler.errors import be

if TYPE_CHECKING:
    from bundler.events import Activity, Event

_WINDOW = 10.0  # seconds over which the rate is measured


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
        self.blobs = 0
        self.finished = 0
        self.moved = 0
        self.moving: dict[str, ActiveBlob] = {}
        self._size = 0
        self._present_size = 0
        self._present_blobs = 0
        self._checks = False
        self._only_checks = False
        self._kept = 0
        self._published = 0
        self._began = now
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def add(self, event: Event) -> str | None:
        """Add one event; return a note for the user, or None."""
        match event:
            case events.Planned():
                self.planned = True
                self._only_checks = event.activity == "check"
                self.blobs += event.blobs
                self._size += event.size
                self._present_blobs += event.present_blobs
                self._present_size += event.present_size
            case events.BlobStarted(digest, size, activity):
                self._start(digest, size or 0, activity)
            case events.BlobProgressed(digest, advance):
                self.moved += advance
                if digest in self.moving:
                    self.moving[digest].done += advance
            case events.BlobFinished(digest, failed):
                self._finish(digest, failed=failed)
            case events.ImagePublished():
                self._published += 1
            case events.Retrying(_, wait, reason, attempt, int(repeats)):
                again = f"{attempt}/{repeats}"
                return f"failed, retrying in {format_duration(wait)} ... ({again}): {reason}"
            case events.Retrying(subject, wait, reason, attempt):
                return f"{subject}: {reason}; attempt {attempt + 1} in {format_duration(wait)}"
            case events.Notice(text):
                return text
            case events.WarningIssued(text):
                return f"warning: {text}"
            case _:  # printed by reports, or by another front end
                pass
        return None

    def sample(self, now: float) -> None:
        """Record the position for the rate; to be called a few times per second at most."""
        self._samples.append((now, self.moved))
        while len(self._samples) > 2 and self._samples[0][0] < now - _WINDOW:
            self._samples.popleft()

    @property
    def total(self) -> int:
        """Number of bytes to transfer or hash, as far as known."""
        return max(self._size + (self._present_size if self._checks else 0), self.moved)

    @property
    def rate(self) -> float:
        """Recent transfer rate in bytes per second."""
        (before, then), (after, now) = self._samples[0], self._samples[-1]
        return max(now - then, 0) / (after - before) if after > before else 0.0

    def describe_position(self) -> str:
        """Return ``12 of 43 blobs, 1.2 GiB of 3.4 GiB (35 %), 120.3 MiB/s, 18 s left``."""
        parts = [
            f"{self.finished} of {count(self.blobs, self._noun)}",
            f"{format_size(self.moved)} of {format_size(self.total)} ({self.percent} %)",
            f"{format_size(self.rate)}/s",
        ]
        left = self.total - self.moved
        if self.rate and left:
            parts.append(f"{format_duration(left / self.rate)} left")
        return ", ".join(parts)

    @property
    def percent(self) -> int:
        """Percentage that is done, rounded down, so that 100 means complete."""
        return 100 * self.moved // self.total if self.total else 100

    def describe_plan(self) -> str:
        """Describe the work that is planned."""
        verb = "check" if self._only_checks else "move"
        text = f"{count(self.blobs, self._noun)} to {verb}, {format_size(self._size)}"
        if self._present_blobs:
            size = format_size(self._present_size)
            text += f"; {count(self._present_blobs, 'blob')}, {size}, already present"
        return text

    def describe_result(self, now: float) -> str:
        """Describe the finished work."""
        took = now - self._began
        rate = f", {format_size(self.moved / took)}/s" if took >= 1 else ""
        done = f"{count(self.finished, self._noun)}, {format_size(self.moved)}"
        return f"{done} in {format_duration(took)}{rate}"

    def describe_interruption(self) -> str:
        """Describe what was done before an interruption."""
        if not self.planned:
            return "nothing was moved yet"
        done = (
            f"{self.finished} of {count(self.blobs, self._noun)}"
            f" ({format_size(self._kept)} of {format_size(self.total)})"
        )
        if self._only_checks:
            return f"{done} {be(self.finished, past=True)} checked"
        stay = "is done and stays" if self.finished == 1 else "are done and stay"
        names = count(self._published, "name") if self._published else "no name"
        verb = be(self._published or 1, past=True)
        return f"{done} {stay}; {names} {verb} published"

    @property
    def _noun(self) -> str:
        """The noun for counts; a verification also reads files that are not blobs."""
        return "file" if self._only_checks else "blob"

    def _start(self, digest: str, size: int, activity: Activity) -> None:
        if activity == "check" and self._present_blobs and not self._checks:
            self._checks = True
            self.blobs += self._present_blobs
        moving = self.moving.setdefault(digest, ActiveBlob(activity))
        moving.size += size
        moving.transfers += 1

    def _finish(self, digest: str, *, failed: bool) -> None:
        moving = self.moving.get(digest)
        if moving is None:
            return
        if not failed:
            self.finished += 1
            self._kept += moving.size // moving.transfers
        moving.size -= moving.size // moving.transfers
        moving.transfers -= 1
        if moving.transfers == 0:
            del self.moving[digest]
