"""Choose how the files of a bundle are read, by its location."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.reading.directory_files import DirectoryFiles

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.reading.files import BundleFiles


def open_files(location: Path) -> BundleFiles:
    """Open the files of the bundle at ``location``; the caller closes them.

    A location that does not exist is reported when it is first read.
    """
    return DirectoryFiles(location)
