"""Signatures of images at the target of an import: those that it can store, and the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.errors import (
    ConfigError,
    LimitError,
    MalformedError,
    TrustError,
    UnsupportedError,
)
from bundler.signature_ports import ChecksSignatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.planned_image import PlannedImage
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings

_REFUSALS = (ConfigError, LimitError, MalformedError, TrustError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class UnstoredSignatures:
    """Signatures of one manifest that the target cannot store, for one reason."""

    name: str
    """The full target name of the image."""
    manifest: Digest
    count: int
    reason: str

    def __str__(self) -> str:
        noun = "signature" if self.count == 1 else "signatures"
        return f"{self.name}: {self.count} {noun} of {self.manifest} not stored: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """Return an entry of ``unstoredSignatures`` in a report."""
        return {
            "manifest": self.manifest.text,
            "count": self.count,
            "reason": self.reason,
        }


def select_signatures(
    planned: PlannedImage[Holdings], name: str, *, stores_signatures: bool
) -> tuple[PlannedImage[Holdings], tuple[UnstoredSignatures, ...]]:
    """Return the image with the signatures that its destination can store, and the others.

    ``name`` is the full target name. ``stores_signatures``: the target stores signatures at all.

    Raises:
        RegistryError: the target cannot be asked.
    """
    kept: dict[Digest, tuple[bytes, ...]] = {}
    refused: Counter[tuple[Digest, str]] = Counter()
    destination: Holdings = planned.destination
    for digest, found in planned.image.signatures.items():
        for raw in found:
            if not stores_signatures:
                refused[digest, "the target stores no signatures"] += 1
                continue
            try:
                if isinstance(destination, ChecksSignatures):
                    destination.check_signatures(digest, [raw])
            except _REFUSALS as error:
                reason = f"{error.message} ({error.hint})" if error.hint else error.message
                refused[digest, reason] += 1
            else:
                kept[digest] = (*kept.get(digest, ()), raw)
    unstored = (
        UnstoredSignatures(name, digest, number, reason)
        for (digest, reason), number in refused.items()
    )
    return replace(planned, image=replace(planned.image, signatures=kept)), tuple(unstored)


def merge_signatures(
    planned_images: Sequence[PlannedImage[Holdings]],
) -> list[PlannedImage[Holdings]]:
    """Give all images with the same manifest at one destination all signatures of the manifest.

    A destination stores the signatures of a manifest once, for all of its names.
    """
    merged: defaultdict[tuple[Holdings, Digest], dict[bytes, None]] = defaultdict(dict)
    for planned in planned_images:
        for digest, found in planned.image.signatures.items():
            merged[planned.destination, digest].update(dict.fromkeys(found))
    results = []
    for planned in planned_images:
        digests = [item.descriptor.digest for item in planned.image.graph.manifests]
        own = {digest: tuple(merged.get((planned.destination, digest), ())) for digest in digests}
        signatures = {digest: each for digest, each in own.items() if each}
        results.append(replace(planned, image=replace(planned.image, signatures=signatures)))
    return results
