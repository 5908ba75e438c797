"""From what a bundle manifest asks for to the images that are meant, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.events import Emit, discard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.bundle.entries import IndexMode
    from bundler.bundle.manifest import BundleManifest
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class WantedReferrer:
    """A referrer that a lock names, and the tag it is found by, if it has one."""

    digest: Digest
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image to resolve: ``source`` is opened, and has to stand for ``pin`` if there is one."""

    reference: str
    """The name in the bundle: host, path, and a tag, a digest or both."""
    source: str
    """What ``transports.parse`` takes. From a lock, a registry is asked for the digest."""
    platforms: tuple[Platform, ...]
    """Empty: all."""
    index: IndexMode
    referrers: bool
    rename: str | None
    """The name inside, ``path:tag`` or ``path@digest``; None: the import decides."""
    origin: str
    """``file:line`` of what asked for it."""
    pin: Digest | None = None
    """The digest that ``source`` must resolve to, before platforms are chosen."""
    result: Digest | None = None
    """From a lock: the digest that must come of it once platforms are chosen."""
    locked_referrers: tuple[WantedReferrer, ...] | None = None
    """From a lock: exactly these referrers; None: whatever there is, if ``referrers``."""


def expand(
    manifest: BundleManifest,
    open_tags: Callable[[str], Sequence[str]],
    emit: Emit = discard,
) -> tuple[Wanted, ...]:
    """The images that ``manifest`` means now, each once, in a deterministic order.

    Args:
        manifest: as loaded.
        open_tags: every tag of a repository, given as ``docker://host/path``; asked once for
            each repository, and only for those with a selection.
        emit: told where a foreign list takes all tags of a repository.

    Raises:
        NotFoundError: tags that are not there, or a selection that leaves nothing.
        ConflictError: one image with two different wishes, or two images with one name.
        InvalidReferenceError: a rename rule makes an impossible name.
    """
    raise NotImplementedError
