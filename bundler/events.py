"""Events that report the progress of a run to the user interface.

Events are immutable values passed to one callable, which several threads may call at the same time
and which must return quickly. Only the command line knows how an event is shown. ``ImageResolved``,
``ListingTags``, ``ImageStarted``, ``ImagePresent``, ``Skipped`` and ``SyncFinished`` are shown only
under Skopeo's name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bundler.errors import BundlerError

Activity = Literal["copy", "check"]
"""``copy``: a blob is transferred. ``check``: a blob is only hashed."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The run is planned. Sizes are in bytes; content that is present is not transferred."""

    blobs: int
    size: int
    present_blobs: int
    present_size: int
    activity: Activity = "copy"
    """``check``: nothing is transferred at all."""


@dataclass(frozen=True, slots=True)
class ImageDigests:
    """The digests of an image or artifact; ``layers`` begin with the lowest."""

    digest: str
    config: str | None
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageResolved:
    """A reference is resolved to these images, which will be copied."""

    images: tuple[ImageDigests, ...]
    listed: int | None = None
    """Number of images in the index that contains them; None: the root is not an index."""


@dataclass(frozen=True, slots=True)
class BlobStarted:
    """The transfer or check of a blob starts."""

    digest: str
    size: int | None
    """In bytes; None if unknown."""
    activity: Activity


@dataclass(frozen=True, slots=True)
class BlobProgressed:
    """``advance`` more bytes of a blob are processed; at most one event for each MiB.

    A negative number takes back the progress of a failed attempt.
    """

    digest: str
    advance: int


@dataclass(frozen=True, slots=True)
class BlobFinished:
    """The transfer or check of a blob has ended."""

    digest: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ImagePublished:
    """A name at the target points to ``digest`` now."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An operation failed temporarily and is repeated after ``wait`` seconds."""

    subject: str
    wait: float
    reason: str
    attempt: int
    """Number of the failed attempt, from 1."""
    repeats: int | None = None
    """Number of retries that the user allows for a whole command; None: a single request."""
    error: BundlerError | None = None
    """The error of a whole command; None: a single request."""


@dataclass(frozen=True, slots=True)
class ListingTags:
    """All tags of ``repository`` are requested from its registry."""

    repository: str


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """The image ``number`` (from 1) of ``count`` is resolved, and copied if necessary."""

    source: str
    destination: str
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class ImagePresent:
    """The target has the same image under the same name, so nothing is copied."""

    name: str
    digest: str
    parts: ImageResolved


@dataclass(frozen=True, slots=True)
class Skipped:
    """A requested item is skipped, and the run continues."""

    subject: str
    reason: str
    error: BundlerError | None = None


@dataclass(frozen=True, slots=True)
class SyncFinished:
    """A sync has ended; the requested ``sources`` resolved to ``images`` images."""

    images: int
    sources: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Information that requires no action."""

    text: str


@dataclass(frozen=True, slots=True)
class WarningIssued:
    """Something that the user probably does not want."""

    text: str


Event = (
    Planned
    | ImageResolved
    | BlobStarted
    | BlobProgressed
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


def discard(event: Event, /) -> None:
    """Ignore an event; the default of every ``emit`` parameter."""
