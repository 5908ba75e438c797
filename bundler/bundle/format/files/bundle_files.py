"""The files in the directory of a bundle: find, open and remove them safely.

A medium is untrusted: a file is opened only if neither it nor a directory between it and the bundle
is a symbolic link. An interrupted renewal may leave the directory ``bundle.next``, see
``next_seal``. As long as it exists, its files replace those with the same paths beside it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.bundle.format.files import bundle_paths
from bundler.content.files import atomic_write
from bundler.errors import LimitError, MediumError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, KeysView, Mapping
    from pathlib import Path

    from bundler.content.files.safe_directory import Directory, RegularFile

MAX_ENTRIES = 250_000
MAX_FOREIGN = 1_000
_MAX_DEPTH = 2  # levels of directories, as in blobs/sha256 and images/<hex>
_FOLDERS = (
    bundle_paths.SIGNATURES,
    bundle_paths.TRUST,
    bundle_paths.RECOVERY,
)  # files with these names are foreign

EntryKind = Literal["file", "special"]


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file in the directory of a bundle; ``size`` in bytes."""

    path: str
    """The relative path, with slashes."""
    kind: EntryKind
    """``special``: a link, pipe, socket or device, or a directory in place of a file; it is neither
    followed nor opened.
    """
    size: int
    shared: tuple[int, int] | None = None
    """The device and inode of a file with several names (hard links); None: it has one name."""


@dataclass(frozen=True, slots=True)
class DirectoryScan:
    """The files in the directory of a bundle."""

    entries: dict[str, BundleFile]
    """The files of the bundle and unknown files in its directory, by path."""
    ignored: int
    """The number of files that operating systems created on the medium."""
    foreign: tuple[str, ...] = ()
    """The paths of the first ``MAX_FOREIGN`` files that are ignored and whose names are not those
    that operating systems choose; a directory counts as one."""
    joined: dict[str, tuple[BundleFile, ...]] = field(default_factory=dict)
    """The parts of each blob that is stored in parts and not as one file, by the path of the blob,
    see ``blob_parts``. The parts are among ``entries``, too."""

    def find(self, path: str) -> BundleFile | None:
        """Return the file at ``path``; for a blob in parts, one with their total size."""
        if path in self.joined:
            return BundleFile(path, "file", sum(part.size for part in self.joined[path]))
        return self.entries.get(path)

    @property
    def paths(self) -> KeysView[str]:
        """The paths of all files, and of the blobs that are stored in parts."""
        return (self.entries | dict.fromkeys(self.joined)).keys()


def scan(bundle: Path) -> DirectoryScan:
    """List the files in the directory of a bundle; follows no link and opens no file.

    Raises:
        NotFoundError: the directory does not exist.
        MediumError: a directory cannot be read.
        LimitError: the directory contains more files than a bundle may have.
    """
    found = scan_files(bundle)
    if not has_next(bundle):
        return found
    following = scan_files(bundle / bundle_paths.NEXT)
    entries = {
        path: entry for path, entry in found.entries.items() if not bundle_paths.is_signature(path)
    }
    foreign = (f"{bundle_paths.NEXT}/{path}" for path in following.foreign)
    return DirectoryScan(
        entries | following.entries, found.ignored, (*found.foreign, *foreign), found.joined
    )


def has_next(bundle: Path) -> bool:
    """Return whether ``bundle.next`` exists; a file or link with this name is no seal."""
    try:
        return stat.S_ISDIR(os.lstat(bundle / bundle_paths.NEXT).st_mode)
    except OSError:
        return False


def scan_files(bundle: Path) -> DirectoryScan:
    """List the files as ``scan`` does, without regard to ``bundle.next``."""
    entries: dict[str, BundleFile] = {}
    foreign: list[str] = []
    ignored = 0
    pending = [""]
    while pending:
        below = pending.pop()
        for item in _list_directory(bundle, below):
            path, name = f"{below}{item.name}", item.name
            if path in (bundle_paths.NEXT, bundle_paths.UNFINISHED):
                if path == bundle_paths.UNFINISHED or not item.is_dir(follow_symlinks=False):
                    foreign.append(path)
                continue
            is_foreign = path in _FOLDERS and not item.is_dir(follow_symlinks=False)
            if is_foreign or not bundle_paths.belongs_to_bundle(below, name):
                ignored += 1
                if not bundle_paths.is_system_file(name) and len(foreign) < MAX_FOREIGN:
                    foreign.append(path)
            elif item.is_dir(follow_symlinks=False) and path.count("/") < _MAX_DEPTH:
                pending.append(f"{path}/")
            else:
                status = item.stat(follow_symlinks=False)
                kind: EntryKind = "file" if stat.S_ISREG(status.st_mode) else "special"
                shared = (status.st_dev, status.st_ino) if status.st_nlink > 1 else None
                entries[path] = BundleFile(path, kind, status.st_size, shared)
            if len(entries) + len(pending) > MAX_ENTRIES:
                raise LimitError(f"{bundle}: too many files (expected at most {MAX_ENTRIES:,})")
    return DirectoryScan(entries, ignored, tuple(foreign), _join_parts(entries))


def _join_parts(entries: Mapping[str, BundleFile]) -> dict[str, tuple[BundleFile, ...]]:
    """Return the parts of the blobs that have all parts, as far as names tell, and no own file."""
    joined = {}
    for blob, paths in bundle_paths.group_blob_parts(entries).items():
        parts = tuple(entries[path] for path in paths)
        complete = [int(path[-3:]) for path in paths] == list(range(len(paths)))
        if complete and blob not in entries and all(part.kind == "file" for part in parts):
            joined[blob] = parts
    return joined


def _list_directory(bundle: Path, below: str) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a directory one by one, because it may have millions of them."""
    try:
        with os.scandir(bundle / below) as listing:
            yield from listing
    except (FileNotFoundError, NotADirectoryError) as error:
        problem = "no such" if isinstance(error, FileNotFoundError) else "not a"
        raise NotFoundError(f"{bundle}: {problem} directory") from None
    except OSError as error:
        raise MediumError(f"{bundle / below}: {error.strerror}") from None


def list_signatures(bundle: Directory) -> list[str]:
    """Return the names of the files with signatures of the bundle, unless they are for cosign.

    Raises:
        MalformedError, MediumError: the directory cannot be read.
    """
    try:
        with bundle.enter(bundle_paths.NEXT) as following:
            names = following.list_names()
    except NotFoundError:
        names = bundle.list_names()
    return [name for name in names if bundle_paths.parse_signature_name(name)]


def open_file(bundle: Directory, path: str) -> RegularFile:
    """Open a regular file below the bundle's directory; the caller closes it.

    Neither it nor a directory between it and ``bundle`` may be a symbolic link.

    Raises:
        NotFoundError: it does not exist.
        MalformedError: not a regular file, or reached through a link.
        MediumError: it cannot be read.
    """
    names = bundle_paths.split_path(path)
    if may_be_in_next(bundle, path):
        with suppress(NotFoundError):
            return bundle.open_file(bundle_paths.NEXT, *names)
    return bundle.open_file(*names)


def read_file(bundle: Directory, path: str, limit: int) -> bytes:
    """Read a small file below the bundle's directory; ``limit`` is its maximum size in bytes.

    Raises:
        LimitError: it is larger.
        NotFoundError, MalformedError, MediumError: it cannot be opened, see ``open_file``.
    """
    names = bundle_paths.split_path(path)
    if may_be_in_next(bundle, path):
        with suppress(NotFoundError):
            return bundle.read(bundle_paths.NEXT, *names, limit=limit)
    return bundle.read(*names, limit=limit)


def may_be_in_next(bundle: Directory, path: str) -> bool:
    """Whether ``bundle.next`` exists and may contain the file; content belongs to no seal."""
    return bundle_paths.parse_digest(path) is None and bundle.has_entry(bundle_paths.NEXT)


def remove_signatures(bundle: Directory) -> None:
    """Durably remove every signature of the bundle.

    Raises:
        MediumError: one of them cannot be removed.
    """
    signatures = list(filter(bundle_paths.is_signature, bundle.list_names()))
    for name in signatures:
        bundle.remove(name)
    if signatures:
        atomic_write.sync_directory(bundle)


def remove_files(
    bundle: Directory, paths: Iterable[str], *, keep_directories: bool = False
) -> None:
    """Durably remove files below the bundle's directory, and each directory that becomes empty.

    With ``keep_directories``, empty directories remain, as a destination may have opened them. A
    directory in place of a file is removed with its content; no link is followed.

    Raises:
        MediumError: one of them cannot be removed.
    """
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder_path, _, name = path.rpartition("/")
        folders.setdefault(folder_path, []).append(name)
    for folder_path, files in sorted(folders.items(), reverse=True):  # inner ones first
        names = folder_path.split("/") if folder_path else []
        with bundle.enter(*names) as folder:
            for name in files:
                folder.remove_tree(name)
            atomic_write.sync_directory(folder)
        if not names or keep_directories:
            continue
        with bundle.enter(*names[:-1]) as parent:
            with suppress(OSError):  # not empty
                os.rmdir(names[-1], dir_fd=parent.fd)
            atomic_write.sync_directory(parent)
