"""Export images to a bundle on several volumes, which are directories on different media.

All content is resolved first. The sealed plan is then written to every volume, before any content.
The volumes are written one after the other, each with a checksum file of its own, and the inventory
completes the last one. If an export is interrupted, the same export completes it under the same
plan.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.exporting.report import ExportReport, create_partial_error
from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.exporting.sealing.volume_layout import (
    SealedVolumes,
    VolumeContent,
    seal_volumes,
)
from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.inventory.inventory import create_serial
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.writing import store
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.media import filesystem
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.errors import ConflictError, NotFoundError, UsageError
from bundler.events import Notice, TransferTotals
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.media.filesystem import Medium
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.oci.digest import Digest
    from bundler.ports import Destination


def export_volumes(
    request: ExportRequest, content: ResolvedContent, engine: EngineOptions
) -> ExportReport:
    """Write the bundle to the directories ``request.bundle`` and ``request.volumes``.

    Raises:
        NoSpaceError, MediumError: the media are too small or cannot be written; raised before the
            first byte is written if possible.
        ConflictError: a directory contains another bundle.
        UsageError: an option does not apply to volumes.
        PartialError: an image failed; run the export again.
        BundlerError: the first failure; content already written is used by the next run.
    """
    paths = (request.bundle, *request.volumes)
    media = [filesystem.inspect(path, request.media_profile) for path in paths]
    for path, medium in zip(paths, media, strict=True):
        _check_volume(request, path, medium)
    nodes = VolumeContent.of(content.images)
    former = _find_former_plan(request, content, nodes, paths)
    resent = request.resend.volumes if request.resend is not None else None
    if former is None:
        created = datetime.now(UTC).replace(microsecond=0)
        serial = create_serial(None, created)
        rooms = _measure_rooms(request, nodes, paths, media)
        assigned = nodes.assign(rooms, " ".join(map(str, paths)))
    else:
        plan, assigned = former
        serial, created = plan.serial, plan.created
        engine.emit(Notice(f"{request.bundle}: continues the volumes of {plan.stream} {serial}"))
    index = _create_index(request, content)
    sealed = seal_volumes(request, content, nodes, assigned, index, serial=serial, created=created)
    numbers = resent or tuple(range(1, len(sealed.plan.volumes) + 1))
    if (
        request.resend is not None
        and sealed.announcement[bundle_paths.PLAN] != request.resend.raw_plan
    ):
        raise _create_change_error(request)
    if len(numbers) > len(paths):
        raise UsageError(
            f"--resend: too few directories (expected {len(numbers)}, got {len(paths)})",
            hint=f"volumes {', '.join(map(str, numbers))} are missing: add --volume DIR for each",
        )
    used = paths[: len(numbers)]
    for path in paths[len(used) :]:
        engine.emit(Notice(f"{path}: not needed, since the other volumes have enough room"))
    totals, written = TransferTotals(), None
    with ExitStack() as stack:
        opened = [_announce(request, path, sealed, stack) for path in used]
        for number, (destination, directory) in zip(numbers, opened, strict=True):
            elsewhere = {digest for digest, volume in assigned.items() if volume != number}
            written, transferred = _write(request, content, destination, elsewhere, engine)
            totals += transferred
            if content.signature_files:
                from bundler.bundle.format.signatures import image_signatures  # noqa: PLC0415 - if there are any

                image_signatures.write_files(directory.path, content.signature_files)
            directory.check_connected()
            present = bundle_files.scan(directory.path).entries
            atomic_write.write_files(directory, sealed.seals[number - 1])
            sealing.prune(directory, present, sealed.paths[number - 1])
            engine.emit(
                Notice(f"{directory.path}: volume {number} of {len(sealed.seals)} is complete")
            )
    for number, path, medium in zip(numbers, used, media, strict=False):
        if request.reads_back(medium):
            from bundler.bundle.verifying.verify_volumes import read_back_volume  # noqa: PLC0415 - on some media

            read_back_volume(path, number, sealed.plan, engine, removable=medium.removable)
    assert written is not None  # noqa: S101 - for mypy: there is a volume
    return ExportReport(
        bundle=request.bundle,
        inventory=sealed.inventory,
        signatures=tuple(filter(bundle_paths.parse_signature_name, sealed.seals[-1])),
        changed=True,
        plan=written,
        totals=totals,
        missing={},
        medium=filesystem.inspect(request.bundle),
        volumes=tuple(map(str, used)),
    )


def _check_volume(request: ExportRequest, path: Path, medium: Medium) -> None:
    """Check that a volume may be written to ``path``, which is on ``medium``."""
    if request.format != "oci":
        raise UsageError("--volume: format dir has no volumes", hint="leave out --format dir")
    for spelling, given in {
        "--archive": request.archive,
        "--in-place": request.in_place,
        "--have": bool(request.held),
        "--with-program": bool(request.program),
        "--recovery": bool(request.recovery),
    }.items():
        if given:
            raise UsageError(f"{spelling} does not apply to volumes", hint=f"leave out {spelling}")
    filesystem.check_directory(
        path,
        medium,
        stream=request.stream,
        parents=request.parents,
        on_system_disk=request.on_system_disk,
    )


def _measure_rooms(
    request: ExportRequest, nodes: VolumeContent, paths: Sequence[Path], media: Sequence[Medium]
) -> list[int]:
    """Return the bytes that each volume has for layers.

    Raises:
        MediumError: a layer is too large for the files of a medium.
    """
    shared = sum(node.size or 0 for node in nodes.shared)
    rooms = []
    for path, medium in zip(paths, media, strict=True):
        largest = max((node.size or 0 for node in nodes.layers), default=0)
        filesystem.check_largest_file(path, medium, largest)
        holdings = DirectoryHoldings(path, "oci")
        stored = sum(
            node.size or 0 for node in (*nodes.shared, *nodes.layers) if holdings.has(node)
        )
        room = medium.free + stored
        if request.volume_size is not None:
            room = min(room, request.volume_size)
        rooms.append(room - shared - OVERHEAD)
    return rooms


def _find_former_plan(
    request: ExportRequest, content: ResolvedContent, nodes: VolumeContent, paths: Sequence[Path]
) -> tuple[sealed_plan.SealedPlan, dict[Digest, int]] | None:
    """Return the plan that an interrupted export of the same content has left, and its layers.

    Raises:
        ConflictError: a directory contains another bundle, or a volume of one.
    """
    from bundler.bundle.format.plan.authenticate_plan import authenticate_plan  # noqa: PLC0415 - loads cryptography
    from bundler.trust.bundle_trust import TrustedKeys  # noqa: PLC0415 - as above

    found = None
    if request.resend is not None:
        plan, listed = request.resend.authenticate([key.public for key in request.keys])
        if not _is_same(request, content, nodes, plan, listed):
            raise _create_change_error(request)
        layers = {node.digest for node in nodes.layers}
        found = plan, {item.digest: item.volume for item in listed if item.digest in layers}
    layers = {node.digest for node in nodes.layers}
    for path in paths:
        with DirectoryFiles(path) as files:
            try:
                raw = files.read(bundle_paths.PLAN, MAX_INVENTORY)
            except NotFoundError:
                if (path / bundle_paths.INVENTORY).exists():
                    raise _create_conflict(path) from None
                continue
            plan = sealed_plan.parse_sealed_plan(raw)
            listed = sealed_plan.parse_contents(
                files.read(bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS), plan.contents
            )
            if request.keys:
                trust = TrustedKeys.create([key.public for key in request.keys])
                authenticate_plan(files, trust, datetime.now(UTC))
        assigned = {item.digest: item.volume for item in listed if item.digest in layers}
        if not _is_same(request, content, nodes, plan, listed) or (
            found is not None and found[0] != plan
        ):
            raise _create_conflict(path)
        found = plan, assigned
    return found


def _is_same(
    request: ExportRequest,
    content: ResolvedContent,
    nodes: VolumeContent,
    plan: sealed_plan.SealedPlan,
    listed: Sequence[sealed_plan.PlannedContent],
) -> bool:
    """Return whether a plan announces exactly the content of this export."""
    planned = {item.digest for item in listed}
    is_current = plan.stream == request.stream and plan.images == tuple(content.entries)
    return is_current and planned == {node.digest for node in (*nodes.shared, *nodes.layers)}


def _create_change_error(request: ExportRequest) -> ConflictError:
    return ConflictError(
        f"{request.stream}: the images differ from those of the bundle whose volumes are requested",
        subjects=["images"],
        hint="export exactly those images, for example with --locked, or a new bundle",
    )


def _create_conflict(path: Path) -> ConflictError:
    return ConflictError(
        f"{path}: contains another bundle, or a volume of one",
        subjects=["volume"],
        hint="specify empty directories, or the volumes of the interrupted export",
    )


def _create_index(request: ExportRequest, content: ResolvedContent) -> bytes:
    """Return the ``index.json`` of all images."""
    holdings = DirectoryHoldings(request.bundle, "oci")
    publications = [
        publication
        for entry, image in zip(content.entries, content.images, strict=True)
        for publication in store.create_planned_image(
            entry, image, holdings, "oci"
        ).list_publications()
    ]
    empty = transport.create_index(request.bundle)
    return transport.add_images(empty, publications, lambda _: True).encode()


def _announce(
    request: ExportRequest, path: Path, sealed: SealedVolumes, stack: ExitStack
) -> tuple[store.WritableDirectory, Directory]:
    """Lock the directory of a volume, and write the plan to it."""
    destination = store.open_for_writing(path, "oci", unsealed=True)
    stack.callback(destination.close)
    directory = stack.enter_context(Directory.open(path))
    stack.enter_context(directory.report_disconnection())
    if request.trust_chain:
        from bundler.bundle.format import trust_chain  # noqa: PLC0415 - only with a trust file

        trust_chain.write_chain(path, request.trust_chain)
    atomic_write.write_files(directory, sealed.announcement)
    return destination, directory


def _write(
    request: ExportRequest,
    content: ResolvedContent,
    destination: store.WritableDirectory,
    elsewhere: set[Digest],
    engine: EngineOptions,
) -> tuple[Plan[Destination], TransferTotals]:
    """Write the content of one volume: all except the layers that are ``elsewhere``."""
    planned = [
        store.create_planned_image(entry, image, destination, "oci")
        for entry, image in zip(content.entries, content.images, strict=True)
    ]
    planned = [replace(item, presupposed=elsewhere) for item in planned]
    plan = create_plan(planned, engine.executor, engine.cancellation)
    result = execute(plan, engine)
    if result.failed:
        raise create_partial_error(request.bundle, "not completed; run it again", result.failed)
    return plan, result.totals
