"""The lock: what a bundle manifest stood for at one time, so that it can be had again.

It lies beside the bundle manifest, is the same bytes for the same content, and holds no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.selection import Wanted, WantedReferrer

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.entries import IndexMode
    from bundler.bundle.manifest import BundleManifest, ManifestFile
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class LockedImage:
    """One image, as it was found."""

    reference: str
    source: str
    """As in ``Wanted``; in the file it is left out for a registry, and else relative to it."""
    digest: Digest
    """The root that travels."""
    media_type: str
    size: int
    """Of the root's manifest, in bytes."""
    platforms: tuple[Platform, ...]
    """Those asked for; empty: all."""
    index: IndexMode
    replaces: Digest | None
    """The root at the source, where choosing platforms made another of it."""
    referrers: tuple[WantedReferrer, ...]
    rename: str | None
    origin: str
    time: datetime
    """When it was first found to be this, in UTC."""

    @classmethod
    def of(
        cls,
        wanted: Wanted,
        *,
        root: Descriptor,
        replaces: Digest | None,
        referrers: tuple[WantedReferrer, ...],
        time: datetime,
    ) -> LockedImage:
        """What became of ``wanted``: ``root`` travels, made from ``replaces`` if that is given."""
        return cls(
            reference=wanted.reference,
            source=wanted.source,
            digest=root.digest,
            media_type=root.media_type,
            size=root.size,
            platforms=wanted.platforms,
            index=wanted.index,
            replaces=replaces,
            referrers=referrers,
            rename=wanted.rename,
            origin=wanted.origin,
            time=time,
        )


@dataclass(frozen=True, slots=True)
class LockChanges:
    """What differs between two locks; references, in the order of the locks."""

    moved: tuple[str, ...]
    """They stand for something else now."""
    new: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """Every image of a bundle manifest with its digest."""

    name: str
    files: tuple[ManifestFile, ...]
    """The bundle manifest and what it included, as they were."""
    images: tuple[LockedImage, ...]

    def wanted(self) -> tuple[Wanted, ...]:
        """The same images again, by digest."""
        raise NotImplementedError

    def changed_files(self, manifest: BundleManifest) -> tuple[str, ...]:
        """The files of ``manifest`` that are not as they were locked; empty: the lock holds."""
        raise NotImplementedError


def lock_path(manifest: Path) -> Path:
    """Where the lock of a bundle manifest lies: ``plant.yaml`` has ``plant.lock.yaml``."""
    raise NotImplementedError


def read(path: Path) -> Lock:
    """Read a lock.

    Raises:
        InvalidBundleManifestError: with every mistake as ``path:line:column: text``.
        LimitError: the file is too large.
        NotFoundError: there is no such file.
    """
    raise NotImplementedError


def write(path: Path, lock: Lock) -> None:
    """Replace the lock at ``path``, wholly or not at all.

    Raises:
        MediumError, NoSpaceError: the former lock is untouched then.
    """
    raise NotImplementedError


def compare(old: Lock, new: Lock) -> LockChanges:
    """What moved, what is new and what is gone from ``old`` to ``new``."""
    raise NotImplementedError


def keep_times(old: Lock, new: Lock) -> Lock:
    """``new`` with the times of ``old`` for what has not moved."""
    raise NotImplementedError
