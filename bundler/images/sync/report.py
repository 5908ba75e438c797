"""The result of a sync, for each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import PartialError, be, count

if TYPE_CHECKING:
    from bundler.copy.plan import Action, Plan
    from bundler.errors import BundlerError
    from bundler.images.sync.sources import UnlistedImage
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings

State = Literal["new", "present", "copied", "failed"]


@dataclass(frozen=True, slots=True)
class SyncedImage:
    """The result for one image; in a dry run, the expected one."""

    source: str
    destination: str
    state: State
    digest: Digest | None = None
    """The root at the destination; None if the image failed."""
    error: BundlerError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "source": self.source,
            "destination": self.destination,
            "state": self.state,
            "digest": self.digest and self.digest.text,
            "error": self.error and str(self.error),
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The results for all images, in the order in which they were listed."""

    images: tuple[SyncedImage, ...]
    unlisted: tuple[UnlistedImage, ...]
    plans: tuple[Plan[Holdings], ...]

    @property
    def failures(self) -> list[str]:
        """A message for each image or repository that failed."""
        errors = [(item.subject, item.error) for item in self.unlisted]
        errors += [(image.source, image.error) for image in self.images if image.error]
        return [error.message_about(subject) for subject, error in errors]

    def count(self, state: State) -> int:
        """Return the number of images with ``state``."""
        return sum(image.state == state for image in self.images)

    def size(self, action: Action) -> int:
        """Return the total size in bytes of the blobs with ``action``."""
        return sum(plan.size(action) for plan in self.plans)

    def digest_lines(self) -> str:
        """Return a line ``DIGEST DESTINATION`` for each image at the destination."""
        return "".join(f"{line.digest} {line.destination}\n" for line in self.images if line.digest)

    def check(self) -> None:
        """Check that all images are at the destination.

        Raises:
            PartialError: some images failed.
        """
        if failures := self.failures:
            done = self.count("copied") + self.count("present")
            total = count(len(self.images), "image")
            raise PartialError(
                f"{done} of {total} {be(done)} at the destination; not done:", failures
            )

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; sizes in bytes."""
        return {
            "images": [image.to_json() for image in self.images],
            "leftOut": [{"name": item.subject, "error": str(item.error)} for item in self.unlisted],
            "moved": {"bytes": self.size("push")},
            "present": {"bytes": self.size("present")},
        }
