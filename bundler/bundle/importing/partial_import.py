"""Push the content of some volumes of a bundle, without the names of incomplete images.

The target remembers what has come: a later import with other volumes asks it for the content of
those that are not present, and publishes the names once it has everything.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, cast

from bundler.bundle.format import bundle_source
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.format.plan.authenticate_plan import authenticate_plan
from bundler.bundle.format.reading.volume_files import VolumeFiles
from bundler.bundle.importing.comparing.compare_images import name_images
from bundler.bundle.importing.presupposed import provide
from bundler.bundle.importing.selected_images import resolve_images, select_images
from bundler.bundle.importing.target import DirectoryTarget, open_target
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.errors import AbsentBlobsError, UsageError, VolumesOwedError, count
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bundler.bundle.format.plan.sealed_plan import PlannedContent
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.target import OpenTarget
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.copy.planned_image import PlannedImage
    from bundler.events import TransferTotals
    from bundler.ports import Destination, Holdings


class Provided(NamedTuple):
    """The images whose content is on the present volumes or at the target."""

    images: list[PlannedImage[Holdings]]
    totals: TransferTotals
    """Those of the presupposed blobs, and of the blobs that were pushed for waiting images."""
    owed: VolumesOwedError | None = None
    """The volumes for which other images wait; None: no image waits."""
    waiting: Collection[str] = ()
    """The names of these images."""


def provide_blobs(
    request: ImportRequest,
    files: BundleFiles,
    presupposed: Mapping[Digest, HeldBlob],
    planned_images: list[PlannedImage[Holdings]],
    target: OpenTarget,
    *,
    engine: EngineOptions,
) -> Provided:
    """Check that the target has the ``presupposed`` blobs, see ``presupposed.provide``.

    If it lacks blobs of volumes that are not present, those of the others are pushed. Images that
    need none of them can be published, if the request says so.

    Raises:
        VolumesOwedError: the target lacks blobs of volumes that are not present, and no image can
            be published.
        AbsentBlobsError, RegistryError: as ``presupposed.provide``.
    """

    def provide_for(images: Sequence[PlannedImage[Holdings]]) -> TransferTotals:
        dry_run = request.dry_run
        return provide(presupposed, images, target, request.target, engine, dry_run=dry_run)

    try:
        return Provided(planned_images, provide_for(planned_images))
    except AbsentBlobsError as error:
        if not isinstance(files, VolumeFiles):
            raise
        absent = [blob for blob in error.blobs if Digest(blob.digest) not in files.contents]
        if absent:  # they are on no volume
            raise AbsentBlobsError(error.target, absent, refused=error.refused) from None
        lacking = {blob.digest for blob in error.blobs}
    if request.note_owed is not None and not request.dry_run:
        on_present = {
            node.digest.text
            for item in planned_images
            for node in item.image.graph.blobs
            if node.digest in files.contents
            and files.contents[node.digest].volume in files.numbers
            and node.kind == "layer"
        }
        request.note_owed(files, on_present | lacking)
    waiting = [item for item in planned_images if _needs(item, lacking)]
    complete = [item for item in planned_images if not _needs(item, lacking)]
    if not (complete and request.publish_as_complete):
        raise push_available(request, files, planned_images, lacking, engine)[0]
    owed, pushed = push_available(request, files, waiting, lacking, engine, published=len(complete))
    names = {item.image.display_name for item in waiting}
    return Provided(complete, pushed + provide_for(complete), owed, names)


def _needs(planned: PlannedImage[Holdings], digests: Collection[str]) -> bool:
    """Return whether an image needs one of the blobs with ``digests``."""
    return any(str(node.digest) in digests for node in planned.image.graph.blobs)


def find_owed(
    request: ImportRequest, files: VolumeFiles, engine: EngineOptions
) -> list[PlannedContent]:
    """Return the layers of the whole bundle that the target lacks, in the order of the plan.

    Nothing is pushed; the layers on ``files`` count as missing, too.

    Raises:
        BundlerError: as ``import_bundle``.
    """
    plan, _ = authenticate_plan(files, request.trust, request.now or datetime.now(UTC))
    announced = plan.announce_inventory()
    source = bundle_source.BundleSource(files, announced)
    selected = select_images(announced, request.only)
    images = resolve_images(selected, source, request.policy.check, engine)
    layers = {
        node.digest: HeldBlob(node.digest, node.size or 0)
        for image in images
        for node in image.graph.blobs
        if node.kind == "layer" and node.digest in files.contents
    }
    with ExitStack() as stack:
        target = open_target(request.target, request.options, stack, writable=False)
        named = name_images(request, selected, images, target, layers.keys())
        planned = [item for *_, item in named]
        try:
            provide(layers, planned, target, request.target, engine, dry_run=True)
        except AbsentBlobsError as error:
            lacking = {blob.digest for blob in error.blobs}
            return [item for digest, item in files.contents.items() if digest.text in lacking]
    return []


def push_available(
    request: ImportRequest,
    files: VolumeFiles,
    planned_images: Sequence[PlannedImage[Holdings]],
    lacking: Collection[str],
    engine: EngineOptions,
    *,
    published: int = 0,
) -> tuple[VolumesOwedError, TransferTotals]:
    """Push the layers that are on the volumes which are present, and return what is owed.

    ``lacking``: the digests that neither these volumes nor the target have. ``published``: the
    number of names that are published in spite of them.

    Raises:
        UsageError: the target cannot store content without names.
    """
    plan = files.plan
    if isinstance(request.target, DirectoryTarget) and request.target.format == "dir":
        raise UsageError(
            f"{request.target}: a tree of dir: images cannot store single volumes",
            hint="specify the directories of all volumes, or another target",
        )
    planned_images = [
        replace(item, image=replace(item.image, signatures={})) for item in planned_images
    ]
    created = create_plan(planned_images, engine.executor, engine.cancellation)
    blobs = cast("Plan[Destination]", replace(created, manifests=(), images=()))
    totals = blobs.totals if request.dry_run else execute(blobs, engine).totals
    owed = {files.contents[Digest(digest)].volume for digest in lacking}
    present = ", ".join(map(str, sorted(files.numbers)))
    number = blobs.count("push")
    names = count(published, "complete image") if published else "no name"
    pushed, made_public = ("to push", "to publish") if request.dry_run else ("pushed", "published")
    error = VolumesOwedError(
        f"bundle {plan.stream} {plan.serial}: {number:,} blobs of volume {present} {pushed}, and"
        f" {names} {made_public}",
        owed,
        len(plan.volumes),
        layers=lacking,
        hint="insert the missing volumes, and run the same import with their directories",
    )
    return error, totals
