"""Make a lock: resolve all that is wanted now, and write down what it is."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.exporting.resolve_images import resolve_all
from bundler.bundle.manifest.expand import LockedReferrer, Wanted
from bundler.bundle.manifest.lockfile import Lock, LockedImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.manifest.load import BundleManifest
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions


def make(
    manifest: BundleManifest, wanted: Sequence[Wanted], options: OpenOptions, running: EngineOptions
) -> Lock:
    """The lock of ``manifest`` as things stand now.

    Raises:
        BundlerError: an image cannot be resolved.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with ExitStack() as stack:
        resolved = resolve_all(wanted, options, running, stack)
        images = tuple(
            LockedImage.of(
                item.wanted,
                root=item.image.graph.root,
                replaces=item.image.replaces,
                referrers=tuple(
                    LockedReferrer(referrer.graph.root.digest, referrer.tag)
                    for referrer in item.image.referrers
                ),
                time=now,
            )
            for item in resolved.found
        )
    return Lock(manifest.name, manifest.files, images)
