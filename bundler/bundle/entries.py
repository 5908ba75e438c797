"""One line of what a bundle manifest asks for, whatever file it stood in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bundler.bundle.tags import Select
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform

IndexMode = Literal["strip", "sparse", "all"]


@dataclass(frozen=True, slots=True)
class Wishes:
    """How much of an image is to travel."""

    platforms: tuple[Platform, ...] = ()
    """Empty: every platform there is."""
    index: IndexMode = "strip"
    """What becomes of an index of which several platforms are wanted: ``strip`` makes a smaller
    one with a new digest, ``sparse`` keeps it with children missing, ``all`` takes it whole.
    Always ``all`` where ``platforms`` is empty."""
    referrers: bool = True
    """Whether signatures, attestations and SBOMs travel with the image."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An image, or with ``select`` a repository of which some tags are wanted."""

    reference: str
    """The full name: host, path, and a tag, a digest or both; neither of them with ``select``."""
    source: str
    """Where it comes from, as ``transports.parse`` takes it; local paths are resolved."""
    origin: str
    """``file:line`` of what asked for it."""
    wishes: Wishes
    pin: Digest | None = None
    """What ``source`` has to stand for."""
    select: Select | None = None
    rename: str | None = None
    """The name inside, ``path[:tag]``."""
