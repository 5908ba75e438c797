"""Choose how the files of a bundle are read, by its location."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.read_inventory import create_unfinished_error
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.reading.stream_location import (
    AGE_MAGIC,
    StreamLocation,
    create_encrypted_error,
)
from bundler.bundle.format.reading.volume_files import VolumeFiles, find_volume_number

if TYPE_CHECKING:
    from bundler.bundle.format.reading.files import BundleFiles

BundleLocation: TypeAlias = "Path | tuple[Path, ...]"
"""The directory or the archive of a bundle, or the directories of its volumes."""
AnyLocation: TypeAlias = "BundleLocation | StreamLocation"


def open_files(location: AnyLocation) -> BundleFiles:
    """Open the files of the bundle at ``location``; the caller closes them.

    A directory that does not exist is reported when it is first read. A stream is read to its end;
    the content of layers is then gone.

    Raises:
        InvalidReferenceError: it is a file, and not an archive.
        BundlerError: the stream cannot be read, or is not one of an archive.
        UsageError, BundlerError: several directories are not volumes of one bundle, see
            ``VolumeFiles``.
    """
    if isinstance(location, StreamLocation):
        from bundler.bundle.format.archive.passed_files import PassedFiles  # noqa: PLC0415 - only for streams

        with location.open() as stream:
            return PassedFiles(stream, str(location.path))
    paths = (location,) if isinstance(location, Path) else location
    if any(is_part_name(path) or not path.exists() for path in paths):
        from bundler.bundle.format.archive.part_names import find_parts, parse_part_path  # noqa: PLC0415 - only for parts

        if parts := find_parts(paths):
            from bundler.bundle.format.archive.archive_files import ArchiveFiles  # noqa: PLC0415 - as above

            first = parse_part_path(next(iter(parts.values())))
            return ArchiveFiles(paths[0] if first is None else first[0], parts)
    if len(paths) > 1 or find_volume_number(paths[0]) is not None:
        return VolumeFiles(paths)
    if paths[0].is_file():
        if not (is_bundle(paths[0]) or paths[0].name.endswith(bundle_paths.ARCHIVE_SUFFIX)):
            if starts_with(paths[0], AGE_MAGIC):
                raise create_encrypted_error(str(paths[0]))
            raise create_unfinished_error(str(paths[0]))
        from bundler.bundle.format.archive.archive_files import ArchiveFiles  # noqa: PLC0415 - only for archives

        return ArchiveFiles(paths[0])
    return DirectoryFiles(paths[0])


def is_part_name(path: Path) -> bool:
    """Whether ``path`` has the name of a part of an archive."""
    return path.suffix[1:].isdigit() and bundle_paths.is_archive_file_name(path.stem)


def is_bundle(location: Path) -> bool:
    """Whether ``location`` may be a bundle: a directory, or a file that begins like an archive."""
    if location.is_dir():
        return True
    return starts_with(location, f"{bundle_paths.PLAN}\0".encode())


def starts_with(path: Path, start: bytes) -> bool:
    """Whether ``path`` is a file that begins with ``start``."""
    try:
        if not path.is_file():
            return False  # opening a pipe that nothing writes to never returns
        with path.open("rb") as file:
            return file.read(len(start)) == start
    except OSError:
        return False
