"""Find the bundles in a directory and below it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from bundler.bundle.audit.location import Location
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.read_inventory import create_unfinished_error
from bundler.bundle.format.reading.volume_files import find_volume_number, group_volumes
from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import BundlerError, LimitError

if TYPE_CHECKING:
    from pathlib import Path

MAX_FOLDERS = 100_000

# A bundle that lacks one of them is damaged, and is reported when it is opened.
_MARKS = (bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE)


class FoundBundles(NamedTuple):
    """The bundles in a directory, and what was not searched."""

    locations: list[Location]
    """The bundles, sorted by path; the volumes of a bundle are one location."""
    failures: list[BundlerError]
    """The directories that cannot be read, and the first one beyond the limit."""


def find_bundles(folder: Path) -> FoundBundles:
    """Return the bundle ``folder``, or the bundles at all levels below it. Links are not followed.

    Archives below it are found by the end of their names. Directories that operating systems
    create are left out.

    Raises:
        NotFoundError: there is no bundle, or no such directory.
        MediumError: the directory cannot be read.
    """
    if folder.is_file():
        return FoundBundles([Location((str(folder),))], [])
    if not folder.is_dir():
        raise create_unfinished_error(str(folder))
    found: list[Path] = []
    failures: list[BundlerError] = []
    pending = [folder]
    number = 0
    while pending:
        current = pending.pop()
        number += 1
        if number > MAX_FOLDERS:
            failures.append(
                LimitError(
                    f"{folder}: more than the {MAX_FOLDERS:,} directories allowed; {current} and"
                    " others were not searched"
                )
            )
            break
        if find_volume_number(current) is not None or any(
            os.path.lexists(current / name) for name in _MARKS
        ):
            found.append(current)
        else:
            try:
                below, archives = _list(current)
            except OSError as error:
                failures.append(to_bundler_error(error, current, "cannot read"))
                continue
            pending += reversed(below)
            found += archives
    if not found:
        raise failures[0] if failures else create_unfinished_error(str(folder))
    groups = group_volumes(sorted(found))
    return FoundBundles([Location(tuple(map(str, paths))) for paths in groups], failures)


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the directories and the archives in a directory, sorted."""
    folders, archives = [], []
    with os.scandir(folder) as entries:
        for item in sorted(entries, key=lambda entry: entry.name):
            if item.is_dir(follow_symlinks=False):
                if not bundle_paths.is_system_file(item.name):
                    folders.append(folder / item.name)
            elif item.name.endswith(bundle_paths.ARCHIVE_SUFFIX) and item.is_file(
                follow_symlinks=False
            ):
                archives.append(folder / item.name)
    return folders, archives
