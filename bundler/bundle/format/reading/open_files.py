"""Choose how the files of a bundle are read, by its location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format import bundle_paths
from bundler.bundle.format.reading.directory_files import DirectoryFiles

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.reading.files import BundleFiles


def open_files(location: Path) -> BundleFiles:
    """Open the files of the bundle at ``location``; the caller closes them.

    A location that does not exist is reported when it is first read.
    """
    if location.is_file():
        from bundler.bundle.format.archive.archive_files import ArchiveFiles  # noqa: PLC0415 - only for archives

        return ArchiveFiles(location)
    return DirectoryFiles(location)


def is_bundle(location: Path) -> bool:
    """Whether ``location`` may be a bundle: a directory, or a file that begins like an archive."""
    if location.is_dir():
        return True
    start = f"{bundle_paths.PLAN}\0".encode()
    try:
        with location.open("rb") as file:
            return location.is_file() and file.read(len(start)) == start
    except OSError:
        return False
