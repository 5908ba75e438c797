"""Events that report the progress of a run to the user interface.

Events are immutable values that are passed to a callable ``emit``. Several threads may call it at
the same time, and it must return quickly. Only the command line decides how an event is displayed;
``ImageResolved``, ``ListingTags``, ``ImageStarted``, ``ImagePresent``, ``Skipped`` and
``SyncFinished`` are displayed only under Skopeo's name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.errors import BundlerError

Activity = Literal["copy", "check"]
"""``copy``: a blob is transferred. ``check``: a blob is only hashed."""


@dataclass(frozen=True, slots=True)
class BlobTotal:
    """A number of blobs, and their size in bytes."""

    blobs: int = 0
    size: int = 0

    @classmethod
    def of(cls, sizes: Sequence[int]) -> BlobTotal:
        """Return the total of blobs with ``sizes``."""
        return cls(len(sizes), sum(sizes))

    def __add__(self, other: BlobTotal) -> BlobTotal:
        return BlobTotal(self.blobs + other.blobs, self.size + other.size)

    def to_json(self) -> dict[str, int]:
        """Return the total as JSON."""
        return {"blobs": self.blobs, "bytes": self.size}


@dataclass(frozen=True, slots=True)
class TransferTotals:
    """The totals of a run, actual or planned; docs/concepts.md defines them for every report.

    A blob that several images share counts once per destination; manifests do not count.
    """

    pushed: BlobTotal = field(default_factory=BlobTotal)
    """Transferred in this run, without the bytes that an interrupted run had stored."""
    present: BlobTotal = field(default_factory=BlobTotal)
    """Present at the destination before the run."""
    mounted: BlobTotal = field(default_factory=BlobTotal)
    """Mounted from another repository of the same registry."""
    resumed: int = 0
    """The number of bytes of the pushed blobs that an interrupted run had stored."""
    checked: BlobTotal = field(default_factory=BlobTotal)
    """Read and verified, but not transferred; blobs for several destinations are read once."""

    def __add__(self, other: TransferTotals) -> TransferTotals:
        return TransferTotals(
            self.pushed + other.pushed,
            self.present + other.present,
            self.mounted + other.mounted,
            self.resumed + other.resumed,
            self.checked + other.checked,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the members of a report."""
        return {
            "moved": self.pushed.to_json(),
            "present": self.present.to_json(),
            "mounted": self.mounted.to_json(),
            "resumed": {"bytes": self.resumed},
        }


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a run is complete; its totals are those if every step succeeds."""

    totals: TransferTotals
    activity: Activity = "copy"
    """``check``: the run only verifies files, counted as ``checked``."""
    keeps_blobs: bool = True
    """Whether complete blobs are kept at the destinations if the run is interrupted."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A planned run has ended, with these totals."""

    totals: TransferTotals


@dataclass(frozen=True, slots=True)
class PushAdded:
    """A blob that was planned as present is pushed: it is damaged, or was not mounted."""

    size: int
    was_checked: bool = False
    """Whether the plan counted it among the blobs to verify."""


@dataclass(frozen=True, slots=True)
class ImageDigests:
    """The digests of an image or artifact; ``layers`` are ordered from the base layer up."""

    digest: str
    config: str | None
    layers: tuple[str, ...]
    signatures: int = 0
    """The number of signatures that are copied from the source."""


@dataclass(frozen=True, slots=True)
class ImageResolved:
    """A reference was resolved to these images, which will be copied."""

    images: tuple[ImageDigests, ...]
    listed: int | None = None
    """The number of entries in the index, selected or not; None: the root is not an index."""
    index_signatures: int = 0
    """The number of signatures of the index that are copied from the source."""


@dataclass(frozen=True, slots=True)
class BlobStarted:
    """The transfer or check of a blob starts."""

    digest: str
    size: int | None
    """The size in bytes; None if unknown."""
    activity: Activity


@dataclass(frozen=True, slots=True)
class BlobProgressed:
    """More bytes of a blob were processed; at most one event is emitted per MiB."""

    digest: str
    advance: int
    """The number of bytes since the last event; negative if a failed attempt is discarded."""


@dataclass(frozen=True, slots=True)
class BlobResumed:
    """Part of a blob was stored by an earlier run, and is not transferred again."""

    digest: str
    size: int
    """The stored bytes, which ``BlobProgressed`` has counted; negative if they are damaged."""


@dataclass(frozen=True, slots=True)
class BlobFinished:
    """The transfer or check of a blob has ended."""

    digest: str
    failed: bool = False
    kept: int = 0
    """The bytes of a failed transfer that the next run continues."""


@dataclass(frozen=True, slots=True)
class ImagePublished:
    """A name at the target now points to ``digest``."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An operation failed temporarily and will be retried after ``wait`` seconds."""

    subject: str
    wait: float
    reason: str
    attempt: int
    """Number of the failed attempt, from 1."""
    repeats: int | None = None
    """The number of retries that the user allows for a command; None: a single request failed."""
    error: BundlerError | None = None
    """The error that made the operation fail; None if unset."""
    patience: float | None = None
    """The number of seconds for which an outage is survived; None if it is not an outage."""


@dataclass(frozen=True, slots=True)
class ListingTags:
    """The tags of ``repository`` are about to be requested from its registry."""

    repository: str


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """Work on image ``number`` (from 1) of ``count`` starts."""

    source: str
    destination: str
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class ImagePresent:
    """The target already has this image under this name, so nothing is copied."""

    name: str
    digest: str
    parts: ImageResolved


@dataclass(frozen=True, slots=True)
class Skipped:
    """A requested item was skipped, and the run continues."""

    subject: str
    reason: str
    error: BundlerError | None = None


@dataclass(frozen=True, slots=True)
class SyncFinished:
    """A sync has ended: it processed ``images`` images from ``sources`` sources."""

    images: int
    sources: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Information that requires no action."""

    text: str


@dataclass(frozen=True, slots=True)
class WarningIssued:
    """A condition that the user should know about, and that does not end the run."""

    text: str


Event = (
    Planned
    | Completed
    | PushAdded
    | ImageResolved
    | BlobStarted
    | BlobProgressed
    | BlobResumed
    | BlobFinished
    | ImagePublished
    | Retrying
    | ListingTags
    | ImageStarted
    | ImagePresent
    | Skipped
    | SyncFinished
    | Notice
    | WarningIssued
)
Emit = Callable[[Event], None]


discard: Emit = deque[Event](maxlen=0).append
"""Ignores an event; the default of every ``emit`` parameter."""
