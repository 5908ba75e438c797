"""Estimate an export: image sizes, bytes to transfer, requests, and space on the medium."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.exporting.destination import check_destination
from bundler.bundle.exporting.renewing.former_bundle import read_former
from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.exporting.report import create_partial_error
from bundler.bundle.exporting.resolving import missing_platforms
from bundler.bundle.exporting.resolving.presupposed import select_presupposed
from bundler.bundle.exporting.resolving.resolve import list_images, resolve_all, verified_to_json
from bundler.bundle.format.inventory.omissions import Omissions
from bundler.bundle.format.inventory.sizes import Sizes, compute_sizes
from bundler.bundle.format.writing import store
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.media import filesystem
from bundler.copy import free_space
from bundler.copy.blob_transfer import find_stored_size
from bundler.copy.plan import Plan, create_plan
from bundler.errors import ConflictError, MediumError, UsageError
from bundler.events import BlobTotal, TransferTotals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.media.filesystem import Medium
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.errors import BundlerError
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated size and cost of an export; sizes are in bytes."""

    images: tuple[tuple[BundledImage, Sizes], ...]
    """Each image with the sizes of its blobs, referrers included."""
    total: Sizes
    """The sizes of all images together; shared content counts once."""
    missing: Mapping[str, BundlerError]
    """The errors of images that cannot be resolved, by reference."""
    plan: Plan[Holdings]
    presupposed: BlobTotal
    """The blobs that the bundle leaves out, because the target has them."""
    stored: int
    """The number of bytes of the blobs to push that an interrupted export has stored."""
    needed: int
    """The number of free bytes that the export needs on the medium."""
    medium: Medium | None
    """The medium of the destination; None if no destination is specified."""
    bundle: Path
    refusal: MediumError | ConflictError | UsageError | None
    """The error that the export would raise because of its directory; None if there is none."""
    volumes: tuple[int, ...] = ()
    """The bytes of the content on each volume; empty: there are no volumes."""

    @property
    def saved(self) -> int:
        """The number of bytes saved because images share content."""
        return sum(sizes.size for _, sizes in self.images) - self.total.size

    @property
    def totals(self) -> TransferTotals:
        """The totals of the export."""
        planned = self.plan.totals
        pushed = BlobTotal(planned.pushed.blobs, planned.pushed.size - self.stored)
        return replace(planned, pushed=pushed, resumed=self.stored)

    @property
    def omissions(self) -> Omissions:
        """The content of the images that the bundle would not have."""
        return Omissions.of(image for image, _ in self.images)

    @property
    def incomplete(self) -> list[ResolvedImage]:
        """The images with foreign layers whose absence would make the bundle incomplete."""
        images = [planned.image for planned in self.plan.images]
        return [image for image in images if image.missing_layers]

    @property
    def enough_space(self) -> bool:
        """Whether the medium has enough free space for the export."""
        return self.medium is not None and self.needed <= self.medium.free

    @property
    def blob_too_large(self) -> bool:
        """Whether a blob is larger than the file system of the medium allows."""
        limit = None if self.medium is None else self.medium.largest_file
        return limit is not None and self.plan.largest > limit

    def check(self) -> None:
        """Check that all images were planned.

        Raises:
            PartialError: some could not be resolved.
        """
        if self.missing:
            raise create_partial_error(self.bundle, "incomplete plan; missing images", self.missing)

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON."""
        totals = self.totals
        return {
            "images": [
                {
                    "reference": str(image.reference),
                    "digest": image.digest.text,
                    "replaces": image.replaces and image.replaces.text,
                    "platforms": list(image.platforms),
                    "size": sizes.size,
                    "own": sizes.unique,
                    "referrers": len(image.referrers),
                }
                | ({"signatures": len(image.signatures)} if image.signatures else {})
                for image, sizes in self.images
            ],
            "missing": [
                {"reference": name, "error": str(error)} for name, error in self.missing.items()
            ],
            "complete": not (self.missing or self.incomplete),
            **missing_platforms.to_json(planned.image for planned in self.plan.images),
            **verified_to_json(planned.image for planned in self.plan.images),
            "blobs": len(self.plan.blobs),
            "size": self.total.size,
            "shared": self.saved,
            "toMove": totals.pushed.to_json(),
            "present": totals.present.size,
            **({"presupposed": self.presupposed.to_json()} if self.presupposed.blobs else {}),
            "resumed": totals.resumed,
            "requests": totals.pushed.blobs,
            "foreign": len(self.plan.foreign),
            **self.omissions.to_json(),
            "room": self.medium
            and {
                "mountPoint": str(self.medium.mount_point),
                "device": self.medium.device,
                "fileSystem": self.medium.file_system,
                "needed": self.needed,
                "free": self.medium.free,
                "enough": self.enough_space,
                "tooLarge": self.blob_too_large,
            },
            **({"volumes": [{"size": size} for size in self.volumes]} if self.volumes else {}),
            "refusal": self.refusal
            and {"message": self.refusal.message, "hint": self.refusal.hint},
        }


def estimate(
    request: ExportRequest, engine: EngineOptions, *, check_medium: bool = True
) -> Estimate:
    """Resolve and plan an export without writing anything.

    With ``engine.keep_going``, images that cannot be resolved are returned as missing.
    ``check_medium`` is False if the user specified no directory.

    Raises:
        BundlerError: an image cannot be resolved.
        UsageError: an option does not apply to the format.
    """
    medium = filesystem.inspect(request.bundle, request.media_profile)
    refusal: MediumError | ConflictError | UsageError | None = None
    volumes: tuple[int, ...] = ()
    try:
        if request.has_volumes:
            from bundler.bundle.exporting.sealing.volume_plan import check_options  # noqa: PLC0415 - only for volumes

            check_options(request)
        check_destination(request, medium)
        if check_medium and not request.has_volumes:
            read_former(request)
    except (MediumError, ConflictError) as error:
        refusal = error
    with ExitStack() as stack:
        destination = DirectoryHoldings(request.bundle, request.format)
        images, missing = resolve_all(
            request.images,
            request.options,
            engine,
            stack,
            destination,
            policy_check=request.policy_check,
        )
        listed, signature_files = list_images(images, request.format, engine.emit)
        presupposed = select_presupposed(request, images)
        planned_images = [
            store.create_planned_image(
                bundled, image, destination, request.format, presupposed.keys()
            )
            for bundled, image in zip(listed, images, strict=True)
        ]
        plan = create_plan(planned_images, engine.executor, engine.cancellation)
    if request.has_volumes:
        from bundler.bundle.exporting.export import ResolvedContent  # noqa: PLC0415 - only for volumes

        resolved = ResolvedContent(images, listed, signature_files)
        volumes, problem = _measure_volumes(request, resolved)
        refusal, check_medium = refusal or problem, False
    contents: list[dict[Digest, int]] = []
    for image in images:
        content: dict[Digest, int] = {}
        for graph in image.graphs:
            content |= {node.digest: node.size or 0 for node in graph.blobs if node.digest}
        absent = {node.digest for node in image.absent_layers}
        absent |= presupposed.keys()
        content = {digest: size for digest, size in content.items() if digest not in absent}
        contents.append(content)
    sizes, total = compute_sizes(contents)
    return Estimate(
        images=tuple(zip(listed, sizes, strict=True)),
        total=total,
        missing=missing,
        plan=plan,
        presupposed=BlobTotal.of([blob.size for blob in presupposed.values()]),
        stored=find_stored_size(
            (task.node for task in plan.blobs if task.action == "push"), destination
        ),
        needed=free_space.compute_needed_space(plan, destination) + OVERHEAD,
        medium=medium if check_medium else None,
        bundle=request.bundle,
        refusal=refusal if check_medium or request.has_volumes else None,
        volumes=volumes,
    )


def _measure_volumes(
    request: ExportRequest, content: ResolvedContent
) -> tuple[tuple[int, ...], MediumError | ConflictError | UsageError | None]:
    """Return the sizes of the volumes, and the error if the directories do not suffice."""
    from bundler.bundle.exporting.sealing.volume_plan import measure_volumes  # noqa: PLC0415 - only for volumes

    paths = (request.bundle, *request.volumes)
    media = {path: filesystem.inspect(path, request.media_profile) for path in paths}
    refusal = None
    for ask in dict.fromkeys((request.ask_for_volume, lambda _: None)):
        try:
            changed = replace(request, ask_for_volume=ask)
            return tuple(measure_volumes(changed, content, media)), refusal
        except (MediumError, ConflictError, UsageError) as error:
            refusal = refusal or error
    return (), refusal
