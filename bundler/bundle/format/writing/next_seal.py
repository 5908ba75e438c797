"""Replace the seal of a bundle in one step, so that an interruption leaves a bundle that verifies.

The files of the new seal are written to the directory ``bundle.unfinished``. Its renaming to
``bundle.next`` is the step: before it, readers find the former bundle, and after it the new one,
because they prefer the files in ``bundle.next``. Then these files are copied to their places, and
``bundle.next`` is removed. An interrupted run leaves it, and the next run completes the copy.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.bundle.format.files.checksums import MAX_CHECKSUM_FILE
from bundler.content.files import atomic_write
from bundler.errors import BundlerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.content.files.safe_directory import Directory


def replace(bundle: Directory, files: Mapping[str, bytes]) -> None:
    """Replace the seal by ``files``, by path, of which the signatures are the last.

    The caller has locked the directory, and has completed an interrupted replacement. A directory
    without a bundle needs no step: it contains no bundle until the last file is written.

    Raises:
        NoSpaceError, MediumError: a file cannot be written. Either the former seal is unchanged, or
            the new one is complete.
    """
    if bundle.get_size(bundle_paths.INVENTORY) is None:
        bundle_files.remove_signatures(bundle)
        _write(bundle, files)
        return
    try:
        with bundle.enter(bundle_paths.UNFINISHED, create=True) as unfinished:
            _write(unfinished, files)
    except BundlerError:
        with suppress(BundlerError):  # the next run removes it
            bundle.remove_tree(bundle_paths.UNFINISHED)
        raise
    bundle.rename(bundle_paths.UNFINISHED, bundle_paths.NEXT)
    atomic_write.sync_directory(bundle)
    _put_in_place(bundle, files)


def complete(bundle: Directory) -> bool:
    """Complete an interrupted replacement, and return whether the new seal was complete.

    The caller has locked the directory.

    Raises:
        LimitError: a file is larger than any file of a seal.
        NoSpaceError, MediumError: a file cannot be read or written; the new seal is unchanged.
    """
    bundle.remove_tree(bundle_paths.UNFINISHED)
    if not bundle_files.has_next(bundle.path):
        bundle.remove_tree(bundle_paths.NEXT)  # a foreign file or link
        return False
    files = {
        path: bundle.read(bundle_paths.NEXT, *path.split("/"), limit=MAX_CHECKSUM_FILE)
        for path in sorted(bundle_files.scan_files(bundle.path / bundle_paths.NEXT).entries)
        if bundle_paths.parse_digest(path) is None
    }
    _put_in_place(bundle, files)
    return True


def _put_in_place(bundle: Directory, files: Mapping[str, bytes]) -> None:
    """Copy the files of ``bundle.next``, and remove it once they are durable."""
    bundle_files.remove_signatures(bundle)
    _write(bundle, files)
    bundle.rename(bundle_paths.NEXT, bundle_paths.UNFINISHED)
    atomic_write.sync_directory(bundle)
    bundle.remove_tree(bundle_paths.UNFINISHED)


def _write(top: Directory, files: Mapping[str, bytes]) -> None:
    """Durably write files below ``top`` by path, in their order."""
    folders: dict[tuple[str, ...], dict[str, bytes]] = {}
    for path, data in files.items():
        *parents, name = path.split("/")
        folders.setdefault(tuple(parents), {})[name] = data
    for names, content in folders.items():
        with top.enter(*names, create=True) as folder:
            atomic_write.write_files(folder, content)
        for depth in range(len(names)):
            with top.enter(*names[:depth]) as parent:
                atomic_write.sync_directory(parent)
