"""What an export would do, in numbers: images, bytes shared and not, requests, room."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.media import filesystem

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportPreview
    from bundler.copy.graph import ResolvedImage
    from bundler.errors import BundlerError, MediumError
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ImageEstimate:
    """One image; sizes in bytes, manifests and referrers included."""

    reference: str
    digest: Digest
    replaces: Digest | None
    platforms: tuple[str, ...]
    size: int
    own: int
    """What no other image needs."""
    referrers: int


@dataclass(frozen=True, slots=True)
class SpaceCheck:
    """What the medium has to offer; ``free`` in bytes."""

    mount_point: Path
    device: str
    file_system: str
    free: int
    enough: bool
    too_large: bool
    """Whether a blob is larger than its files may be."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """All of it; sizes in bytes."""

    images: tuple[ImageEstimate, ...]
    missing: tuple[tuple[str, BundlerError], ...]
    """References that cannot be had, and why."""
    blobs: int
    size: int
    """Every blob and manifest once."""
    shared: int
    """What sharing saves."""
    to_move: int
    blobs_to_move: int
    present: int
    foreign: int
    """Layers that stay where their URLs say."""
    room: SpaceCheck | None
    refusal: MediumError | None
    """Why the medium would be refused; None: it would not, or it is not known which."""

    @property
    def requests(self) -> int:
        """What the registries will still be asked for: each blob once."""
        return self.blobs_to_move

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "images": [
                {
                    "reference": image.reference,
                    "digest": image.digest.text,
                    "replaces": image.replaces and image.replaces.text,
                    "platforms": list(image.platforms),
                    "size": image.size,
                    "own": image.own,
                    "referrers": image.referrers,
                }
                for image in self.images
            ],
            "missing": [{"reference": name, "error": str(error)} for name, error in self.missing],
            "blobs": self.blobs,
            "size": self.size,
            "shared": self.shared,
            "toMove": {"blobs": self.blobs_to_move, "bytes": self.to_move},
            "present": self.present,
            "requests": self.requests,
            "foreign": self.foreign,
            "room": self.room
            and {
                "mountPoint": str(self.room.mount_point),
                "device": self.room.device,
                "fileSystem": self.room.file_system,
                "free": self.room.free,
                "enough": self.room.enough,
                "tooLarge": self.room.too_large,
            },
            "refusal": self.refusal
            and {"message": self.refusal.message, "hint": self.refusal.hint},
        }


def estimate(survey: ExportPreview, bundle: Path | None) -> Estimate:
    """Count what ``survey`` found; ``bundle`` is where it would go, None if that is not said."""
    parts = [_parts(item.image) for item in survey.resolved.found]
    users = Counter(digest for part in parts for digest in part)
    everything = {digest: size for part in parts for digest, size in part.items()}
    images = tuple(
        ImageEstimate(
            item.wanted.reference,
            item.image.graph.root.digest,
            item.image.replaces,
            tuple(map(str, item.image.graph.platforms)),
            sum(part.values()),
            sum(size for digest, size in part.items() if users[digest] == 1),
            len(item.image.referrers),
        )
        for item, part in zip(survey.resolved.found, parts, strict=True)
    )
    size = sum(everything.values())
    plan = survey.plan
    return Estimate(
        images=images,
        missing=tuple((item.wanted.reference, item.error) for item in survey.resolved.missing),
        blobs=len(plan.blobs),
        size=size,
        shared=sum(image.size for image in images) - size,
        to_move=plan.size("push"),
        blobs_to_move=plan.count("push"),
        present=plan.size("present"),
        foreign=len(plan.foreign),
        room=None if bundle is None else _room(bundle, plan.size("push"), plan.largest),
        refusal=None if bundle is None else survey.refusal,
    )


def _parts(image: ResolvedImage) -> dict[Digest, int]:
    parts: dict[Digest, int] = {}
    for graph in image.graphs:
        parts |= {item.descriptor.digest: len(item.raw) for item in graph.manifests}
        parts |= {node.digest: node.size or 0 for node in graph.blobs if node.digest}
    return parts


def _room(bundle: Path, needed: int, largest: int) -> SpaceCheck:
    place = filesystem.inspect(bundle)
    too_large = place.largest_file is not None and largest > place.largest_file
    return SpaceCheck(
        mount_point=place.mount_point,
        device=place.device,
        file_system=place.file_system,
        free=place.free,
        enough=needed <= place.free,
        too_large=too_large,
    )
