"""What the events of a run add up to: numbers, and the sentences made of them. No I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import events
from bundler.cli.output import text as render
from bundler.errors.counts import be

if TYPE_CHECKING:
    from bundler.events import Activity, Event

_WINDOW = 10.0  # seconds over which the rate is measured


@dataclass(slots=True)
class ActiveBlob:
    """A blob on its way; the same blob may be on its way to several places at once."""

    activity: Activity
    size: int = 0
    done: int = 0
    places: int = 0


class ProgressState:
    """Adds up events; not safe for threads. Times are seconds of one monotonic clock."""

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
        """Take one event; what it says to the user, if anything."""
        match event:
            case events.Planned():
                self._plan(event)
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
                return f"failed, retrying in {render.duration(wait)} ... ({again}): {reason}"
            case events.Retrying(what, wait, reason, attempt):
                return f"{what}: {reason}; attempt {attempt + 1} in {render.duration(wait)}"
            case events.Notice(text):
                return text
            case events.WarningIssued(text):
                return f"warning: {text}"
            case _:  # told by reports, or by another voice
                pass
        return None

    def sample(self, now: float) -> None:
        """Remember how far it is, for the rate; called a few times each second or less."""
        self._samples.append((now, self.moved))
        while len(self._samples) > 2 and self._samples[0][0] < now - _WINDOW:
            self._samples.popleft()

    @property
    def total(self) -> int:
        """All bytes that will move or be hashed, as far as it is known."""
        return max(self._size + (self._present_size if self._checks else 0), self.moved)

    @property
    def rate(self) -> float:
        """Bytes per second of late."""
        (before, then), (after, now) = self._samples[0], self._samples[-1]
        return max(now - then, 0) / (after - before) if after > before else 0.0

    def position(self) -> str:
        """``12 of 43 blobs, 1.2 GiB of 3.4 GiB (35 %), 120.3 MiB/s, 18 s left``."""
        parts = [
            f"{self.finished} of {render.count(self.blobs, self._noun)}",
            f"{render.size(self.moved)} of {render.size(self.total)} ({self.percent} %)",
            f"{render.size(self.rate)}/s",
        ]
        left = self.total - self.moved
        if self.rate and left:
            parts.append(f"{render.duration(left / self.rate)} left")
        return ", ".join(parts)

    @property
    def percent(self) -> int:
        """Rounded down: 100 means all of it."""
        return 100 * self.moved // self.total if self.total else 100

    def outlook(self) -> str:
        """What there is to do, as soon as it is planned."""
        verb = "check" if self._only_checks else "move"
        text = f"{render.count(self.blobs, self._noun)} to {verb}, {render.size(self._size)}"
        if self._present_blobs:
            size = render.size(self._present_size)
            text += f"; {render.count(self._present_blobs, 'blob')}, {size}, there already"
        return text

    def summary(self, now: float) -> str:
        """What was done, once all of it is."""
        took = now - self._began
        rate = f", {render.size(self.moved / took)}/s" if took >= 1 else ""
        done = f"{render.count(self.finished, self._noun)}, {render.size(self.moved)}"
        return f"{done} in {render.duration(took)}{rate}"

    def so_far(self) -> str:
        """What was done and what was not, of work that was stopped."""
        if not self.planned:
            return "nothing was moved yet"
        done = (
            f"{self.finished} of {render.count(self.blobs, self._noun)}"
            f" ({render.size(self._kept)} of {render.size(self.total)})"
        )
        if self._only_checks:
            return f"{done} {be(self.finished, past=True)} checked"
        stay = "is done and stays" if self.finished == 1 else "are done and stay"
        names = render.count(self._published, "name") if self._published else "no name"
        verb = be(self._published or 1, past=True)
        return f"{done} {stay}; {names} {verb} published"

    @property
    def _noun(self) -> str:
        """A verification reads files: blobs, and what lies beside them."""
        return "file" if self._only_checks else "blob"

    def _plan(self, event: events.Planned) -> None:
        self.planned = True
        self._only_checks = event.activity == "check"
        self.blobs += event.blobs
        self._size += event.size
        self._present_blobs += event.present_blobs
        self._present_size += event.present_size

    def _start(self, digest: str, size: int, activity: Activity) -> None:
        if activity == "check" and self._present_blobs and not self._checks:
            self._checks = True
            self.blobs += self._present_blobs
        moving = self.moving.setdefault(digest, ActiveBlob(activity))
        moving.size += size
        moving.places += 1

    def _finish(self, digest: str, *, failed: bool) -> None:
        moving = self.moving.get(digest)
        if moving is None:
            return
        if not failed:
            self.finished += 1
            self._kept += moving.size // moving.places
        moving.size -= moving.size // moving.places
        moving.places -= 1
        if moving.places == 0:
            del self.moving[digest]
