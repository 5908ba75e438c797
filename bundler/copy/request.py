"""A request for one image: its source, the parts to copy, and its pinned digest.

``resolve`` returns a ``ResolvedImage`` for each request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.copy.platform_selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


@dataclass(frozen=True, slots=True)
class PinnedReferrer:
    """The digest of a referrer, and its tag if it has one."""

    digest: Digest
    tag: str | None = None


ReferrerPolicy = Literal["all", "none"] | tuple[PinnedReferrer, ...]
"""The referrers that are copied with an image: all, none, or only the listed ones."""

SignaturePolicy = Literal["all", "images", "none"]
"""The simple signatures that are copied with an image; ``images``: all but those of indexes."""


@dataclass(frozen=True, slots=True)
class LockedRoot:
    """The record of an image in a lock file."""

    root: Descriptor
    """The root that is copied."""
    replaces: Digest | None
    """The root at the source, if the selection of platforms creates a new one."""
    time: datetime
    """When the image was first resolved to this root, in UTC."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to resolve."""

    source: Reference
    """The reference to read the image from."""
    reference: ImageReference | None = None
    """The full name of the image, independent of ``source``; None if it has none."""
    selection: Selection = EVERYTHING
    referrers: ReferrerPolicy = "none"
    signatures: SignaturePolicy = "none"
    pin: Digest | None = None
    """The digest to which ``source`` must resolve, before platforms are selected."""
    locked: LockedRoot | None = None
    """The record in the lock file, whose root the image must have; None: no lock file."""
    rename: str | None = None
    """The target name, ``path:tag`` or ``path@digest``, from the bundle manifest; None if unset."""
    origin: str = ""
    """``file:line`` of the manifest entry; empty for a request from the command line."""
    reads_platform: bool = True
    """Read the platform of an image that is not part of an index from its config."""

    label: str = field(init=False, compare=False)
    """The name of the image in messages and reports."""

    def __post_init__(self) -> None:
        """Format the label once: it identifies the image in plans and reports."""
        object.__setattr__(self, "label", str(self.reference or self.source))
