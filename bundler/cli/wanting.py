"""What ``plan``, ``lock`` and ``export`` have in common: the images that a file asks for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle import lock as locks
from bundler.bundle import manifest as manifests
from bundler.bundle.resolving import open_tags
from bundler.bundle.selection import Wanted, expand
from bundler.bundle.surveying import estimate
from bundler.cli import render
from bundler.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting import Survey
    from bundler.bundle.lock import Lock
    from bundler.bundle.manifest import BundleManifest
    from bundler.events import Emit
    from bundler.ports import Options


@dataclass(frozen=True, slots=True)
class Asked:
    """A bundle manifest, and the lock that it is held to, if it is."""

    manifest: BundleManifest
    lock: Lock | None

    def images(self, options: Options, emit: Emit) -> tuple[Wanted, ...]:
        """The images that are wanted; asks registries for tags where they have to be chosen."""
        if self.lock is not None:
            return self.lock.wanted()
        return expand(self.manifest, partial(open_tags, options=options), emit)


def load(path: Path, *, locked: bool = False) -> Asked:
    """Read the bundle manifest at ``path``, and with ``locked`` the lock beside it.

    Raises:
        InvalidBundleManifestError: with every mistake in it.
        NotFoundError: one of the files is not there.
        ConflictError: the manifest is not the one that was locked.
    """
    manifest = manifests.load(path, environment=os.environ)  # noqa: TID251 - the command line's task
    if not locked:
        return Asked(manifest, None)
    lock = locks.read(locks.lock_path(path))
    changed = lock.changed_files(manifest)
    if changed:
        raise ConflictError(
            f"{path}: not as it was locked: {', '.join(changed)} changed since then",
            hint=f"airbundle lock {path}",
        )
    return Asked(manifest, lock)


def show(survey: Survey, bundle: Path | None, *, as_json: bool) -> None:
    """Print what an export would do; ``bundle`` is where it would go, if that is said."""
    numbers = estimate(survey, bundle)
    if as_json:
        render.document(numbers.to_json())
        return
    rows = [
        (
            image.reference,
            " ".join(image.platforms) or "-",
            render.size(image.size),
            render.size(image.own),
            str(image.referrers),
        )
        for image in numbers.images
    ]
    render.table(("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS"), rows, right={2, 3, 4})
    for reference, error in numbers.missing:
        render.line(f"missing: {reference}: {error}")
    render.line(
        f"{render.count(len(rows), 'image')}, {render.count(numbers.blobs, 'blob')},"
        f" {render.size(numbers.size)}; sharing saves {render.size(numbers.shared)}"
    )
    render.line(
        f"to move: {render.size(numbers.to_move)} in"
        f" {render.count(numbers.requests, 'request')};"
        f" there already: {render.size(numbers.present)}"
    )
    if numbers.foreign:
        render.line(f"left where their URLs say: {render.count(numbers.foreign, 'foreign layer')}")
    if numbers.room is not None:
        room = numbers.room
        verdict = "enough" if room.enough else "not enough"
        render.line(f"free: {render.size(room.free)} ({room.file_system or 'disk'}), {verdict}")
        if room.too_large:
            render.line(f"a blob is larger than {room.file_system} can hold in one file")
