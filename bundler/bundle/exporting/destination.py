"""The destination of an export: check that it may be written, and open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.writing import store
from bundler.bundle.media import filesystem
from bundler.content.files.safe_directory import Directory
from bundler.errors import MediumError, UsageError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.media.filesystem import Medium


def check_destination(request: ExportRequest, medium: Medium) -> None:
    """Check that the bundle may be written to its directory, which is on ``medium``.

    Raises:
        MediumError: it must not be written there.
        UsageError: an option does not apply to the format.
    """
    if request.split is not None and not request.archive:
        raise UsageError(
            f"--split: {request.bundle} is a directory",
            hint=f"write an archive: {request.bundle}.airbundle, or several volumes: --volume",
        )
    if request.recipients and not request.archive:
        raise UsageError(
            f"--encrypt-to: {request.bundle} is a directory, which is not encrypted",
            hint=f"write an archive: {request.bundle}.airbundle.age, or - for a pipe",
        )
    if request.archive:
        from bundler.bundle.exporting.write_archive import check_file  # noqa: PLC0415 - only for archives

        check_file(request, filesystem.inspect(request.bundle.parent))
        return
    if request.duplicate_blobs and request.format != "dir":
        raise UsageError(
            f"--duplicate-blobs does not apply to format {request.format}, which stores each blob"
            " once",
            hint="leave out --duplicate-blobs, or add --format dir",
        )
    filesystem.check_directory(
        request.bundle,
        medium,
        stream=request.stream,
        parents=request.parents,
        on_system_disk=request.on_system_disk,
    )
    if request.format == "dir" and not (medium.hard_links or request.duplicate_blobs):
        raise MediumError(
            f"{request.bundle}: format dir needs hard links (unsupported by {medium.file_system})",
            hint="use --format oci, or copy shared blobs with --duplicate-blobs",
        )


def open_destination(
    request: ExportRequest, medium: Medium, stack: ExitStack
) -> tuple[store.WritableDirectory, Directory]:
    """Open the directory of the bundle to write images, and to write other files.

    Blobs that ``medium`` cannot store as one file are written in parts. ``stack`` closes both, and
    reports a disconnected medium as the cause of an error.

    Raises:
        LockedError: another process is writing there.
        MediumError: it cannot be created or written.
    """
    destination = store.open_for_writing(
        request.bundle,
        request.format,
        unsealed=True,
        may_copy=request.duplicate_blobs,
        largest=medium.largest_file,
    )
    stack.callback(destination.close)
    directory = stack.enter_context(Directory.open(request.bundle))
    stack.enter_context(directory.report_disconnection())
    return destination, directory
