"""Make room for a renewal on a medium that cannot store the former and the new bundle together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.copy.free_space import check_plan
from bundler.errors import NoSpaceError
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.files.bundle_files import BundleFile
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.plan import Plan
    from bundler.events import Emit
    from bundler.ports import Destination

OVERHEAD = 4 * 1024 * 1024
"""Bytes that an export needs on its medium for directories, SHA256SUMS and other small files."""


def make_room(
    request: ExportRequest,
    directory: Directory,
    plan: Plan[Destination],
    images: Iterable[BundledImage],
    emit: Emit,
) -> None:
    """Check that the medium has room for ``plan``, and remove the former bundle if requested.

    Content of the former bundle that no image needs is removed only if there is no room for both
    bundles, and ``request.in_place`` is set. Its seal is removed first, so the directory contains
    no bundle until the export is complete. ``directory`` is that of the bundle; ``images`` are the
    entries of the planned images.

    Raises:
        NoSpaceError: there is no room for both, and ``in_place`` is not set; or there is no room
            for the new bundle.
        MediumError: a file cannot be removed.
    """
    try:
        program = sum(source.stat().st_size for source in request.program.values())
        recovery = compute_recovery_size(plan, request.recovery)
        check_plan(plan, OVERHEAD + program + recovery)
    except NoSpaceError as error:
        present = bundle_files.scan(request.bundle).entries
        resolved = [planned.image for planned in plan.images]
        presupposed = {digest for planned in plan.images for digest in planned.presupposed}
        needed = sealing.find_listed_paths(request.format, images, resolved, present, presupposed)
        surplus = [
            path
            for path in present
            if path not in needed
            and (
                bundle_paths.parse_digest(path)
                or bundle_paths.parse_blob_part(path)
                or bundle_paths.is_recovery(path)
            )
        ]
        size = compute_freed_space([present[path] for path in surplus], present.values())
        if error.needed is None or error.needed > error.free + size:
            raise
        if not request.in_place:
            raise NoSpaceError(
                str(error.path),
                needed=error.needed,
                free=error.free,
                hint="export to another directory or medium; with --in-place, content of the former"
                " bundle is removed first, and no bundle exists until the export is complete",
            ) from None
        emit(WarningIssued(f"{request.bundle}: the former bundle is removed to make room"))
        bundle_files.remove_signatures(directory)
        bundle_files.remove_files(directory, [bundle_paths.INVENTORY])
        bundle_files.remove_files(directory, surplus, keep_directories=True)


def compute_recovery_size(plan: Plan[Destination], percent: int) -> int:
    """Return about how many bytes ``percent`` of recovery data for all content of ``plan`` has."""
    return sum(task.size for task in plan.blobs) * (percent + 1) // 100 if percent else 0


def compute_freed_space(removed: Collection[BundleFile], present: Iterable[BundleFile]) -> int:
    """Return the bytes that become free if the ``removed`` ones of the ``present`` files go.

    A file with several names (hard links) is freed only if none of its names remains.
    """
    paths = {file.path for file in removed}
    kept = {file.shared for file in present if file.path not in paths}
    kept.discard(None)
    freed = {file.shared or file.path: file.size for file in removed if file.shared not in kept}
    return sum(freed.values())
