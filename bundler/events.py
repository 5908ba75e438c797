"""What a run tells while it works: frozen values, given to one callable.

The callable may be called from several threads at once and must return quickly. Nothing below
the command line knows what becomes of an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

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

    what: str
    wait: float
    reason: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know and need not act on."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that is probably not what the user wants."""

    text: str


Event = (
    Planned
    | BlobStarted
    | BlobProgressed
    | BlobFinished
    | ImagePublished
    | Retrying
    | Notice
    | Warned
)
Emit = Callable[[Event], None]


def discard(event: Event, /) -> None:
    """Take no notice: the default for every ``emit`` parameter."""
