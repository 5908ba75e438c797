"""What a sync did, or would do, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import PartialError
from bundler.errors.counts import be, count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.copy.plan import Action, Plan
    from bundler.errors import BundlerError
    from bundler.images.sync.sources import LeftOut
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings

State = Literal["new", "present", "copied", "failed"]


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one image, or with ``new`` would become of it."""

    source: str
    destination: str
    state: State
    digest: Digest | None = None
    """What is at the destination."""
    error: BundlerError | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """All images, in the order of the source."""

    lines: tuple[Line, ...]
    left_out: tuple[LeftOut, ...]
    """What could not even be looked for."""
    plans: tuple[Plan[Holdings], ...]

    @property
    def failures(self) -> list[str]:
        """One line for each thing that was asked for and is not done."""
        return [error.message_about(subject) for subject, error in self._errors()]

    def count(self, state: State) -> int:
        """How many images there are of which that is true."""
        return sum(line.state == state for line in self.lines)

    def size(self, action: Action) -> int:
        """The bytes that moved, or need not."""
        return sum(made.size(action) for made in self.plans)

    def digest_lines(self) -> str:
        """Return a line ``DIGEST DESTINATION`` for each image at the destination."""
        return "".join(f"{line.digest} {line.destination}\n" for line in self.lines if line.digest)

    def check(self) -> None:
        """Return if all that was asked for is done.

        Raises:
            PartialError: it is not.
        """
        if failures := self.failures:
            done = self.count("copied") + self.count("present")
            total = count(len(self.lines), "image")
            raise PartialError(
                f"{done} of {total} {be(done)} at the destination; not done:", failures
            )

    def to_json(self) -> dict[str, Any]:
        """The same for machines; sizes in bytes."""
        return {
            "images": [
                {
                    "source": line.source,
                    "destination": line.destination,
                    "state": line.state,
                    "digest": line.digest and line.digest.text,
                    "error": line.error and str(line.error),
                }
                for line in self.lines
            ],
            "leftOut": [{"name": item.what, "error": str(item.error)} for item in self.left_out],
            "moved": {"bytes": self.size("push")},
            "present": {"bytes": self.size("present")},
        }

    def _errors(self) -> Iterator[tuple[str, BundlerError]]:
        yield from ((item.what, item.error) for item in self.left_out)
        yield from ((line.source, line.error) for line in self.lines if line.error)
