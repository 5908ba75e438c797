"""Write a bundle into an archive: one file, which replaces a former one at the end.

All images are resolved first, so the sealed plan and the offsets of all members are known before
the first byte is transferred, and blobs are written in parallel. If an export is interrupted, the
former archive is unchanged.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.exporting.renewing.former_bundle import choose_serial
from bundler.bundle.exporting.renewing.make_room import OVERHEAD
from bundler.bundle.exporting.report import ExportReport, create_partial_error
from bundler.bundle.exporting.resolving.presupposed import select_presupposed
from bundler.bundle.exporting.sealing.archive_seal import create_layout, create_seal
from bundler.bundle.format.archive.destination import ArchiveDestination
from bundler.bundle.format.archive.stream_destination import StreamDestination
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_paths import PIPE
from bundler.bundle.format.writing import store
from bundler.bundle.media import filesystem
from bundler.content.files.replace_file import FileReplacement
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.errors import ConflictError, MediumError, NoSpaceError, UsageError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.format.archive.split_output import SplitOutput
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.media.filesystem import Medium
    from bundler.copy.engine import EngineOptions
    from bundler.copy.planned_image import PlannedImage
    from bundler.errors import BundlerError
    from bundler.oci.digest import Digest
    from bundler.ports import Destination

MIN_PART = 64 * 1024
"""The minimum size in bytes of a part of a split archive."""

_STANDARD_OUTPUT = 1


def write_archive(
    request: ExportRequest,
    content: ResolvedContent,
    former: AuthenticatedBundle | None,
    engine: EngineOptions,
    stack: ExitStack,
    *,
    missing: dict[str, BundlerError],
    serial: int | None,
) -> ExportReport:
    """Write resolved images to the archive ``request.bundle``, and replace a former one.

    The arguments are those of ``export.write_bundle``.

    Raises:
        NoSpaceError, MediumError: the medium is too small or cannot be written; raised before the
            first byte is written if possible.
        LockedError: another process is writing the archive.
        BundlerError: the first failure; the former archive is unchanged.
    """
    path, images = request.bundle, content.images
    medium = filesystem.inspect(path.parent, request.media_profile)
    check_file(request, medium)
    destination = _open_destination(request, stack)
    created = datetime.now(UTC).replace(microsecond=0)
    serial = choose_serial(former, engine) if serial is None else serial
    presupposed = select_presupposed(request, images)
    every = list(zip(content.entries, images, strict=True))
    arrange = partial(
        create_layout,
        request,
        signature_files=content.signature_files,
        serial=serial,
        created=created,
    )
    layout = arrange(every, presupposed=presupposed.values())
    if path != PIPE:
        _check_room(request, layout.end, medium)
    destination.arrange(layout)
    if former is not None and isinstance(destination, ArchiveDestination):
        from bundler.bundle.exporting.renewing.former_archive import copy_blobs  # noqa: PLC0415 - if there is one

        copy_blobs(path, former, destination, images, engine)
    planned_images: list[PlannedImage[Destination]] = [
        store.create_planned_image(entry, image, destination, "oci", presupposed.keys())
        for entry, image in every
    ]
    plan = create_plan(planned_images, engine.executor, engine.cancellation)
    order: dict[Digest | None, int] = {digest: at for at, digest in enumerate(layout.places)}
    in_order = sorted(plan.blobs, key=lambda task: order.get(task.node.digest, -1))
    plan = replace(plan, blobs=tuple(in_order))
    result = execute(plan, engine)
    missing = missing | result.failed
    if not result.published:
        raise create_partial_error(path, "not written, because every image failed", missing)
    published = content.update_entries(item.image for item in result.published)
    if not request.is_stream and not layout.places.keys() <= destination.stored:
        presupposed = select_presupposed(request, [image for _, image in published])
        layout = arrange(published, presupposed=presupposed.values())
        destination.arrange(layout)
    inventory, end = create_seal(
        request,
        destination,
        published,
        presupposed=presupposed,
        serial=serial,
        created=created,
        complete=content.is_complete and not missing,
    )
    destination.publish(end)
    record = None
    if path != PIPE and request.reads_back(medium):
        from bundler.bundle.exporting import read_back  # noqa: PLC0415 - on some media

        raw_inventory, written = end[bundle_paths.INVENTORY], destination.written
        if request.split is not None:
            record = read_back.read_parts(path, raw_inventory, engine)
        elif written is not None:
            record = read_back.read_encrypted(path, written, raw_inventory, engine)
        else:
            record = read_back.read_back(path, inventory, medium, engine)
    return ExportReport(
        bundle=path,
        inventory=inventory,
        signatures=tuple(filter(bundle_paths.parse_signature_name, end)),
        changed=True,
        plan=plan,
        totals=result.totals,
        missing=missing,
        medium=filesystem.inspect(path),
        read_back=record,
    )


def _open_destination(
    request: ExportRequest, stack: ExitStack
) -> ArchiveDestination | StreamDestination:
    """Open the archive for writing; ``stack`` closes it.

    An encrypted archive, and a pipe, are written in the order of their members.

    Raises:
        UsageError: standard output is a terminal.
        LockedError, MediumError: the file cannot be written.
    """
    if request.bundle == PIPE:
        if os.isatty(_STANDARD_OUTPUT):
            raise UsageError(
                "-: standard output is a terminal",
                hint="write to a pipe: airbundle export MANIFEST - | airbundle import - TARGET",
            )
        if not request.recipients:
            return StreamDestination(_STANDARD_OUTPUT, PIPE)
    elif request.parents:
        request.bundle.parent.mkdir(parents=True, exist_ok=True)
    destination: ArchiveDestination | StreamDestination
    if request.recipients:
        from bundler.bundle.format.archive.encrypted_destination import (  # noqa: PLC0415 - on request
            EncryptedDestination,
            OutputPipe,
        )

        is_pipe = request.bundle == PIPE
        output = OutputPipe(_STANDARD_OUTPUT) if is_pipe else _create_file(request)
        destination = EncryptedDestination(output, request.recipients)
    else:
        destination = ArchiveDestination(_create_file(request))
    stack.callback(destination.close)
    return destination


def _create_file(request: ExportRequest) -> FileReplacement | SplitOutput:
    if request.split is None:
        return FileReplacement(request.bundle)
    from bundler.bundle.format.archive.split_output import SplitOutput  # noqa: PLC0415 - on request

    return SplitOutput(request.bundle, request.split, request.keys)


def check_file(request: ExportRequest, medium: Medium) -> None:
    """Check that an archive may be written to ``request.bundle``, whose directory is on ``medium``.

    Raises:
        MediumError: it must not be written there.
        UsageError: an option does not apply to an archive.
    """
    if request.format != "oci" or request.duplicate_blobs:
        option = "--duplicate-blobs" if request.duplicate_blobs else "--format dir"
        raise UsageError(
            f"{option} does not apply to an archive, which has the format oci",
            hint=f"leave out {option}, or export to a directory",
        )
    if request.program:
        raise UsageError(
            "--with-program does not apply to an archive, in which a program cannot be started",
            hint="write it beside the archive: airbundle carry DIRECTORY",
        )
    if request.recovery:
        raise UsageError(
            "--recovery does not apply to an archive",
            hint="leave out --recovery, or export to a directory",
        )
    if request.in_place:
        raise UsageError(
            "--in-place does not apply to an archive, which replaces the former one as a whole",
            hint="leave out --in-place, or export to a directory",
        )
    encrypted_name = request.bundle.name.endswith(bundle_paths.ENCRYPTED_SUFFIX)
    if request.bundle != PIPE and bool(request.recipients) != encrypted_name:
        if request.recipients:
            raise UsageError(
                f"--encrypt-to: the name {request.bundle} does not end with .age",
                hint=f"write {request.bundle}.age",
            )
        raise UsageError(
            f"{request.bundle}: the name of an encrypted archive",
            hint="add --encrypt-to RECIPIENT, or write an archive that ends with .airbundle",
        )
    if request.split is not None:
        _check_parts(request)
    if request.bundle == PIPE:
        return
    filesystem.check_location(
        request.bundle, medium, parents=request.parents, on_system_disk=request.on_system_disk
    )


def _check_parts(request: ExportRequest) -> None:
    """Check that the archive may be written in parts.

    Raises:
        UsageError: it is a pipe, or the parts are too small.
        ConflictError: it exists, in parts or as one file.
    """
    if request.bundle == PIPE:
        raise UsageError(
            "--split does not apply to a pipe", hint="use split(1), or write to a file"
        )
    if request.split is not None and request.split < MIN_PART:
        raise UsageError(f"--split: parts too small (expected at least {MIN_PART:,} bytes)")
    if request.bundle.exists():
        raise ConflictError(
            f"{request.bundle}: exists as one file",
            subjects=["archive"],
            hint="specify another name, or remove this file first",
        )
    from bundler.bundle.format.archive.split_output import check_absent  # noqa: PLC0415 - on request

    check_absent(request.bundle)


def _check_room(request: ExportRequest, size: int, medium: Medium) -> None:
    """Check that ``medium`` can store a new archive of ``size`` bytes beside the former one.

    Raises:
        MediumError: its file system has no files of this size.
        NoSpaceError: there is not enough room.
    """
    path, limit, needed = request.bundle, medium.largest_file, size + OVERHEAD
    if request.recipients:
        from bundler.content.encryption.age_streams import measure  # noqa: PLC0415 - on request

        needed = measure(needed)
    if limit is not None and (needed if request.split is None else request.split) > limit:
        raise MediumError(
            f"{path}: the archive is too large for the file system {medium.file_system}"
            f" (expected at most {limit:,} bytes, got {needed:,})",
            path=str(path),
            hint="export to a directory, or format the medium as exFAT or ext4",
        )
    if needed > medium.free:
        raise NoSpaceError(str(path), needed=needed, free=medium.free)
