"""Plan a bundle on volumes: check its options and media, and assign the layers to volumes.

If an export was interrupted, or if volumes are requested again, the former plan is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.exporting.resolving.presupposed import select_presupposed
from bundler.bundle.exporting.sealing.volume_layout import (
    SealedVolumes,
    VolumeContent,
    seal_volumes,
)
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import create_serial
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.reading.volume_files import find_volume_number
from bundler.bundle.format.writing import store
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.media import filesystem
from bundler.errors import ConflictError, NoSpaceError, NotFoundError, UsageError
from bundler.events import Notice
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.media.filesystem import Medium
    from bundler.events import Emit
    from bundler.oci.digest import Digest

_FormerPlan: TypeAlias = "tuple[sealed_plan.SealedPlan, Mapping[Digest, int]]"
"""A plan, and the number of the volume of each layer."""


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """The volumes of a bundle, before they are written."""

    content: VolumeContent
    assigned: Mapping[Digest, int]
    """The number of the volume of each layer."""
    sealed: SealedVolumes
    numbers: tuple[int, ...]
    """The volumes to write."""

    @property
    def total(self) -> int:
        """The number of volumes of the bundle."""
        return len(self.sealed.seals)

    def check(self, number: int, path: Path, medium: Medium) -> None:
        """Check that volume ``number`` may be written to ``path``, which is on ``medium``.

        Raises:
            ConflictError: it contains another bundle, or another volume of this one.
            NoSpaceError: the medium is too small.
        """
        found = find_volume_number(path)
        former = _read_plan(path)
        if former is None and (path / bundle_paths.INVENTORY).exists():
            raise _create_conflict(path)
        if former is not None and former != self.sealed.announcement[bundle_paths.PLAN]:
            raise _create_conflict(path)
        if found is not None and found != number:
            raise ConflictError(
                f"{path}: contains volume {found} (expected volume {number}, or no volume)",
                subjects=["volume"],
                hint="specify the directories in the order of their volumes",
            )
        needed = self.sealed.plan.volumes[number - 1].size + OVERHEAD
        room = medium.free + _measure_stored(self.content, path)
        if medium.states_space and room < needed:
            raise NoSpaceError(str(path), needed=needed, free=room)


def check_options(request: ExportRequest) -> None:
    """Check that the options of a request apply to volumes.

    Raises:
        UsageError: one does not.
    """
    kept = "leave it out, or --volume and --volume-size"
    refused = [
        (str(request.bundle) == "-", "a pipe", "it cannot be divided", kept),
        (request.format != "oci", "--format dir", "each image is one directory", kept),
        (request.archive, "--archive", "an archive is one file", kept),
        (
            request.in_place,
            "--in-place",
            "they are not renewed",
            "leave it out, and export to empty directories",
        ),
        (
            bool(request.recovery),
            "--recovery",
            "their checksums are signed before the content exists",
            "leave it out; a lost volume is written again with airbundle owed and export --resend",
        ),
    ]
    for given, option, reason, hint in refused:
        if given:
            raise UsageError(f"{option} does not apply to volumes: {reason}", hint=hint)


def check_directory(request: ExportRequest, path: Path, medium: Medium) -> None:
    """Check that a volume may be written to ``path``, see ``filesystem.check_directory``."""
    filesystem.check_directory(
        path,
        medium,
        stream=request.stream,
        parents=request.parents,
        on_system_disk=request.on_system_disk,
    )


def plan_volumes(
    request: ExportRequest,
    content: ResolvedContent,
    media: Mapping[Path, Medium],
    emit: Emit,
) -> VolumePlan:
    """Assign the content to volumes, and seal them; nothing is written.

    ``media`` are those of the directories of the request, in the order of their volumes.

    Raises:
        NoSpaceError, MediumError: the media are too small.
        ConflictError: a directory contains another bundle, or the content has changed.
        UsageError: more directories are needed, and nobody can be asked for them.
    """
    nodes = VolumeContent.of(content.images, select_presupposed(request, content.images))
    former, assigned = _assign(request, content, nodes, media)
    if former is None:
        created = datetime.now(UTC).replace(microsecond=0)
        serial = create_serial(None, created)
    else:
        serial, created = former.serial, former.created
        emit(Notice(f"{request.bundle}: continues the volumes of {former.stream} {serial}"))
    index = _create_index(request, content)
    sealed = seal_volumes(request, content, nodes, assigned, index, serial=serial, created=created)
    resend = request.resend
    if resend is not None and sealed.announcement[bundle_paths.PLAN] != resend.raw_plan:
        raise _create_change_error(request)
    numbers = tuple(range(1, len(sealed.seals) + 1)) if resend is None else resend.volumes
    if len(numbers) > len(media) and request.ask_for_volume is None:
        raise UsageError(
            f"too few directories for volumes {', '.join(map(str, numbers))}"
            f" (expected {len(numbers)}, got {len(media)})",
            hint="add --volume DIR for each, or run the export on a terminal, which asks for them",
        )
    planned = VolumePlan(nodes, assigned, sealed, numbers)
    for number, (path, medium) in zip(numbers, media.items(), strict=False):
        planned.check(number, path, medium)
    return planned


def measure_volumes(
    request: ExportRequest, content: ResolvedContent, media: Mapping[Path, Medium]
) -> list[int]:
    """Return the bytes of the content on each volume, the program included; nothing is sealed.

    Raises:
        NoSpaceError, MediumError, ConflictError, UsageError: as ``plan_volumes``.
    """
    nodes = VolumeContent.of(content.images, select_presupposed(request, content.images))
    _, assigned = _assign(request, content, nodes, media)
    shared = sum(node.size or 0 for node in nodes.shared)
    shared += sum(source.stat().st_size for source in request.program.values())
    sizes = [shared] * max(assigned.values(), default=1)
    for node in nodes.layers:
        if node.digest is not None:
            sizes[assigned[node.digest] - 1] += node.size or 0
    return sizes


def _assign(
    request: ExportRequest,
    content: ResolvedContent,
    nodes: VolumeContent,
    media: Mapping[Path, Medium],
) -> tuple[sealed_plan.SealedPlan | None, Mapping[Digest, int]]:
    """Return the former plan, if there is one, and the number of the volume of each layer."""
    former = _find_former_plan(request, content, nodes, [*media])
    if former is not None:
        return former
    rooms, further = _measure_rooms(request, nodes, media)
    may_ask = request.ask_for_volume is not None
    return None, nodes.assign(rooms, " ".join(map(str, media)), further if may_ask else None)


def _measure_rooms(
    request: ExportRequest, nodes: VolumeContent, media: Mapping[Path, Medium]
) -> tuple[list[int], int]:
    """Return the bytes that each volume has for layers, and those of a further volume.

    Raises:
        MediumError: a layer is too large for the files of a medium.
        UsageError: the free space of a medium is not known, and no size is stated.
    """
    program = sum(source.stat().st_size for source in request.program.values())
    shared = sum(node.size or 0 for node in nodes.shared) + program + OVERHEAD
    limit = request.volume_size if isinstance(request.volume_size, int) else None
    largest = max((node.size or 0 for node in nodes.layers), default=0)
    rooms = []
    for path, medium in media.items():
        filesystem.check_largest_file(path, medium, largest)
        if medium.states_space:
            room = medium.free + _measure_stored(nodes, path)
            room = room if limit is None else min(room, limit)
        elif limit is not None:
            room = limit
        else:
            raise UsageError(
                f"{path}: its file system does not state the free space",
                hint="state the size of the volumes, for example --volume-size 16GB",
            )
        rooms.append(room - shared)
    return rooms, rooms[-1] if limit is None else limit - shared


def _measure_stored(nodes: VolumeContent, path: Path) -> int:
    """Return the size in bytes of the content that is in a directory already."""
    holdings = DirectoryHoldings(path, "oci")
    return sum(node.size or 0 for node in (*nodes.shared, *nodes.layers) if holdings.has(node))


def _find_former_plan(
    request: ExportRequest, content: ResolvedContent, nodes: VolumeContent, paths: Sequence[Path]
) -> _FormerPlan | None:
    """Return the plan that an interrupted export of the same content has left, and its layers.

    Raises:
        ConflictError: a directory contains another bundle, or a volume of one.
    """
    from bundler.bundle.format.plan.authenticate_plan import authenticate_plan  # noqa: PLC0415 - loads cryptography
    from bundler.trust.bundle_trust import TrustedKeys  # noqa: PLC0415 - as above

    layers = {node.digest for node in nodes.layers}
    found = None
    if request.resend is not None:
        plan, listed = request.resend.authenticate([key.public for key in request.keys])
        if not _is_same(request, content, nodes, plan, listed):
            raise _create_change_error(request)
        found = plan, {item.digest: item.volume for item in listed if item.digest in layers}
    for path in paths:
        raw = _read_plan(path)
        if raw is None:
            continue
        plan = sealed_plan.parse_sealed_plan(raw)
        with DirectoryFiles(path) as files:
            listed = sealed_plan.parse_contents(
                files.read(bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS), plan.contents
            )
            if request.keys:
                trust = TrustedKeys.create([key.public for key in request.keys])
                authenticate_plan(files, trust, datetime.now(UTC))
        if not _is_same(request, content, nodes, plan, listed) or (
            found is not None and found[0] != plan
        ):
            raise _create_conflict(path)
        found = plan, {item.digest: item.volume for item in listed if item.digest in layers}
    return found


def _read_plan(path: Path) -> bytes | None:
    """Return the bytes of the plan in a directory; None: it has none."""
    with DirectoryFiles(path) as files:
        try:
            return files.read(bundle_paths.PLAN, MAX_INVENTORY)
        except NotFoundError:
            return None


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
        hint="export exactly those images with the same options, for example with --locked, or a"
        " new bundle",
    )


def _create_conflict(path: Path) -> ConflictError:
    return ConflictError(
        f"{path}: contains another bundle, or a volume of one",
        subjects=["volume"],
        hint="specify empty directories, or the volumes of the interrupted export with the same"
        " options",
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
