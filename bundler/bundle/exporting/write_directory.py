"""Write a bundle into a directory: the content, then the seal that replaces a former one.

Content is written beside that of the former bundle, each file verified. If the directory has all of
the content and nothing else has changed, the former bundle stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.exporting.destination import check_destination, open_destination
from bundler.bundle.exporting.renewing.former_bundle import choose_serial
from bundler.bundle.exporting.renewing.make_room import make_room
from bundler.bundle.exporting.report import ExportReport, create_partial_error
from bundler.bundle.exporting.resolving.presupposed import select_presupposed
from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing import next_seal, store
from bundler.bundle.media import filesystem
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.events import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.errors import BundlerError
    from bundler.ports import Destination


def write_directory(
    request: ExportRequest,
    content: ResolvedContent,
    former: AuthenticatedBundle | None,
    engine: EngineOptions,
    stack: ExitStack,
    *,
    missing: dict[str, BundlerError],
    serial: int | None,
) -> ExportReport:
    """Write resolved images to the directory ``request.bundle``, and seal it.

    The arguments are those of ``export.write_bundle``.

    Raises:
        BundlerError: as ``export.export``.
    """
    bundle = request.bundle
    medium = filesystem.inspect(bundle, request.media_profile)
    check_destination(request, medium)  # the medium may have been unmounted in the meantime
    destination, directory = open_destination(request, medium, stack)
    if next_seal.complete(directory):
        engine.emit(Notice(f"{bundle}: completed the interrupted replacement of its seal"))
    images = zip(content.images, content.entries, strict=True)
    entries = {image.display_name: entry for image, entry in images}
    plan = _create_plan(request, content, entries, destination, engine)
    if former is not None and not missing and plan.count("push") == 0:
        from bundler.bundle.exporting.renewing import unchanged_bundle  # noqa: PLC0415 - rare

        unchanged = unchanged_bundle.verify(
            request, former, tuple(entries.values()), plan, engine, directory=directory
        )
        if unchanged is not None:
            destination.commit(())  # removes what an interrupted export has left
            return unchanged
    if request.format == "dir":  # the files of dir: have no parts
        filesystem.check_largest_file(bundle, medium, plan.largest)
    make_room(request, directory, plan, entries.values(), engine.emit)
    result = execute(plan, engine)
    missing = missing | result.failed
    directory.check_connected()
    if not result.published:
        raise create_partial_error(bundle, "not written, because every image failed", missing)
    _write_files(request, content, directory, engine)
    removed = set(filter(bundle_paths.parse_signature_name, directory.list_names()))
    inventory, signed = sealing.replace_seal(
        request,
        directory,
        content.update_entries(item.image for item in result.published),
        destination,
        content.signature_files,
        serial=choose_serial(former, engine) if serial is None else serial,
        complete=content.is_complete and not missing,
        engine=engine,
    )
    stack.close()  # the bundle is complete, and needs no lock to be read
    record = None
    if request.reads_back(medium):
        from bundler.bundle.exporting.read_back import read_back  # noqa: PLC0415 - on some media

        record = read_back(bundle, inventory, medium, engine)
    return ExportReport(
        bundle=bundle,
        inventory=inventory,
        signatures=signed,
        changed=True,
        plan=plan,
        totals=result.totals,
        missing=missing,
        medium=filesystem.inspect(bundle),
        read_back=record,
        removed_signatures=tuple(sorted(removed.difference(signed))),
    )


def _create_plan(
    request: ExportRequest,
    content: ResolvedContent,
    entries: Mapping[str, BundledImage],
    destination: Destination,
    engine: EngineOptions,
) -> Plan[Destination]:
    """Plan the transfer of all content that the directory lacks and the target does not have."""
    presupposed = select_presupposed(request, content.images)
    planned_images = [
        store.create_planned_image(
            entries[image.display_name], image, destination, request.format, presupposed.keys()
        )
        for image in content.images
    ]
    return create_plan(planned_images, engine.executor, engine.cancellation)


def _write_files(
    request: ExportRequest, content: ResolvedContent, directory: Directory, engine: EngineOptions
) -> None:
    """Write the files that are not content of images: signatures, and the carried program."""
    if content.signature_files:
        from bundler.bundle.format.signatures import image_signatures  # noqa: PLC0415 - if there are any

        image_signatures.write_files(request.bundle, content.signature_files, only_missing=True)
    if request.program:
        from bundler.bundle.program import copy_program  # noqa: PLC0415 - on request

        copy_program.copy(request.program, directory, engine.cancellation)
