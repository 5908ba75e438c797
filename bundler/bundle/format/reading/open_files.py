"""Choose how the files of a bundle are read, by its location."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.read_inventory import create_unfinished_error
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.reading.volume_files import VolumeFiles, find_volume_number

if TYPE_CHECKING:
    from bundler.bundle.format.reading.files import BundleFiles

BundleLocation: TypeAlias = "Path | tuple[Path, ...]"
"""The directory of a bundle, or those of its volumes."""


def open_files(location: BundleLocation) -> BundleFiles:
    """Open the files of the bundle at ``location``; the caller closes them.

    A directory that does not exist is reported when it is first read.

    Raises:
        InvalidReferenceError: it is a file, and not an archive.
        UsageError, BundlerError: several directories are not volumes of one bundle, see
            ``VolumeFiles``.
    """
    paths = (location,) if isinstance(location, Path) else location
    if len(paths) > 1 or find_volume_number(paths[0]) is not None:
        return VolumeFiles(paths)
    if paths[0].is_file():
        if not (is_bundle(paths[0]) or paths[0].name.endswith(bundle_paths.ARCHIVE_SUFFIX)):
            raise create_unfinished_error(str(paths[0]))
        from bundler.bundle.format.archive.archive_files import ArchiveFiles  # noqa: PLC0415 - only for archives

        return ArchiveFiles(paths[0])
    return DirectoryFiles(paths[0])


def is_pipe(location: BundleLocation) -> bool:
    """Whether ``location`` is ``-``: an archive that arrives through standard input."""
    paths = (location,) if isinstance(location, Path) else location
    return [str(path) for path in paths] == ["-"]


def is_bundle(location: Path) -> bool:
    """Whether ``location`` may be a bundle: a directory, or a file that begins like an archive."""
    if location.is_dir():
        return True
    start = f"{bundle_paths.PLAN}\0".encode()
    try:
        if not location.is_file():
            return False  # opening a pipe that nothing writes to never returns
        with location.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False
