"""A request for one image: its source, the parts to copy, and the digest that it must have.

Front ends create requests; ``resolve`` turns each of them into a ``ResolvedImage``.
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
    """A referrer by its digest, and the tag by which it is found, if it has one."""

    digest: Digest
    tag: str | None = None


ReferrerPolicy = Literal["all", "none"] | tuple[PinnedReferrer, ...]
"""The referrers that are copied with an image: all, none, or exactly the ones that are listed."""

SignaturePolicy = Literal["all", "images", "none"]
"""The signatures stored beside manifests that are copied; ``images``: not those of an index."""


@dataclass(frozen=True, slots=True)
class LockedRoot:
    """The facts about an image that a lock file records."""

    root: Descriptor
    """The root that is copied."""
    replaces: Digest | None
    """The root at the source, if selecting platforms creates another one."""
    time: datetime
    """When the image was first resolved to this root, in UTC."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """One image to resolve."""

    source: Reference
    """The source, and the name of the image there."""
    reference: ImageReference | None = None
    """The full name of the image, wherever it is read from; None: it has no name of its own."""
    selection: Selection = EVERYTHING
    referrers: ReferrerPolicy = "none"
    signatures: SignaturePolicy = "none"
    pin: Digest | None = None
    """The digest that the source must resolve to, before platforms are selected."""
    locked: LockedRoot | None = None
    """The record in the lock file, if the request comes from one: the root must be the same."""
    rename: str | None = None
    """The target name, ``path:tag`` or ``path@digest``, that the bundle manifest specifies."""
    origin: str = ""
    """``file:line`` of the manifest entry; empty if a command line made the request."""
    reads_platform: bool = True
    """Read the config of an image that is in no index to find its platform."""

    label: str = field(init=False, compare=False)
    """The name of the image in messages and reports."""

    def __post_init__(self) -> None:
        """Format the label once: it is the key of an image in plans and reports."""
        object.__setattr__(self, "label", str(self.reference or self.source))
