"""What a run tells while it works: frozen values, given to one callable.

The callable may be called from several threads at once and must return quickly. Nothing below
the command line knows what becomes of an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bundler.errors import BundlerError

Activity = Literal["copy", "check"]
"""What becomes of a blob: it moves, or it is only hashed where it is."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The work is known: how many blobs and bytes there are, and how many need not move.

    With ``check`` as its activity nothing moves at all.
    """

    blobs: int
    size: int
    present_blobs: int
    present_size: int
    activity: Activity = "copy"


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image or artifact by the digests of its parts, layers from the lowest up."""

    digest: str
    config: str | None
    layers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageResolved:
    """What a reference stands for is known, and that these images of it are to be copied."""

    images: tuple[ResolvedImage, ...]
    listed: int | None = None
    """How many the list has of which they are; None: it is no list."""


@dataclass(frozen=True, slots=True)
class BlobStarted:
    """A blob begins to move, or to be hashed; ``size`` in bytes, None if not known."""

    digest: str
    size: int | None
    activity: Activity


@dataclass(frozen=True, slots=True)
class BlobProgressed:
    """``advance`` more bytes of a blob went by; at most one such event for each MiB."""

    digest: str
    advance: int


@dataclass(frozen=True, slots=True)
class BlobFinished:
    """A blob is where it belongs (or, with ``failed``, is not)."""

    digest: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ImagePublished:
    """A name now stands for ``digest`` at the target."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """A temporary failure: the same is tried again after ``wait`` seconds."""

    subject: str
    wait: float
    reason: str
    attempt: int
    """The one that failed, counted from 1."""
    repeats: int | None = None
    """Of a whole command: how often its user lets it be run again. None: of one request."""
    error: BundlerError | None = None
    """What went wrong, where the whole command did."""


@dataclass(frozen=True, slots=True)
class ListingTags:
    """A registry is asked for all tags of ``repository``."""

    repository: str


@dataclass(frozen=True, slots=True)
class ImageStarted:
    """One of ``count`` images, counted from 1, is looked at and copied where that is needed."""

    source: str
    destination: str
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class ImagePresent:
    """The target has the very image under that name already; nothing more is asked of it."""

    name: str
    digest: str
    parts: ImageResolved


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was asked for is not done, and the rest goes on."""

    subject: str
    reason: str
    error: BundlerError | None = None


@dataclass(frozen=True, slots=True)
class SyncFinished:
    """A sync is over: so many ``images``, which came of so many wishes for ``sources``."""

    images: int
    sources: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know and need not act on."""

    text: str


@dataclass(frozen=True, slots=True)
class WarningIssued:
    """Something that is probably not what the user wants."""

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
    """Take no notice: the default for every ``emit`` parameter."""
