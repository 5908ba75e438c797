"""What an export would do, in numbers: images, bytes shared and not, requests, room."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.exporting.export import check_destination
from bundler.bundle.exporting.resolve import resolve_all
from bundler.bundle.format import store
from bundler.bundle.media import filesystem
from bundler.copy.plan import create_plan
from bundler.errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.copy.engine import EngineOptions
    from bundler.copy.graph import ResolvedImage
    from bundler.errors import BundlerError
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
    missing: Mapping[str, BundlerError]
    """The images that cannot be resolved, by reference."""
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
            "missing": [
                {"reference": name, "error": str(error)} for name, error in self.missing.items()
            ],
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


def estimate(request: ExportRequest, running: EngineOptions, *, compare: bool = True) -> Estimate:
    """Resolve and plan an export, without creating or changing anything.

    Args:
        request: the export.
        running: with ``keep_going``, images that cannot be resolved are returned as missing.
        compare: whether to compare with the medium that the bundle would be written to.

    Raises:
        BundlerError: an image cannot be resolved.
    """
    refusal = None
    try:
        check_destination(request)
    except MediumError as error:
        refusal = error
    with ExitStack() as stack:
        images, missing = resolve_all(request.images, request.options, running, stack)
        destination = store.DirectoryHoldings(request.bundle, request.format)
        targets = [store.target(image, destination, request.format) for image in images]
        work = create_plan(targets, running.executor, running.cancellation)
    parts = [_parts(image) for image in images]
    users = Counter(digest for part in parts for digest in part)
    everything = {digest: size for part in parts for digest, size in part.items()}
    estimates = tuple(
        ImageEstimate(
            image.label,
            image.graph.root.digest,
            image.replaces,
            tuple(map(str, image.graph.platforms)),
            sum(part.values()),
            sum(size for digest, size in part.items() if users[digest] == 1),
            len(image.referrers),
        )
        for image, part in zip(images, parts, strict=True)
    )
    size = sum(everything.values())
    return Estimate(
        images=estimates,
        missing=missing,
        blobs=len(work.blobs),
        size=size,
        shared=sum(image.size for image in estimates) - size,
        to_move=work.size("push"),
        blobs_to_move=work.count("push"),
        present=work.size("present"),
        foreign=len(work.foreign),
        room=_room(request.bundle, work.size("push"), work.largest) if compare else None,
        refusal=refusal if compare else None,
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
