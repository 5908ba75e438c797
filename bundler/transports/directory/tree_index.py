"""Index of the images in a tree, by file name.

The tree is untrusted: links are not followed, and names that are not portable are skipped.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import is_portable
from bundler.errors import (
    BundlerError,
    ConflictError,
    LimitError,
    MalformedError,
    NotFoundError,
)
from bundler.oci.digest import Digest
from bundler.transports.directory.image_files import MANIFEST, VERSION, get_file_name, read_root

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from bundler.content.files.safe_directory import Directory, PathComponents
    from bundler.ports import Node

_MAX_DEPTH = 4
_MAX_FILES = 2_000_000


@dataclass(slots=True)
class TreeIndex:
    """The images below a directory, and the directories that contain their files."""

    complete: set[PathComponents] = field(default_factory=set)
    """Directories of the images that have a root."""
    by_name: dict[str, PathComponents] = field(default_factory=dict)
    """The first directory that contains a file, by the file's name."""
    roots: dict[Digest, PathComponents] = field(default_factory=dict)
    """The first directory that contains a root, by the root's digest."""

    @classmethod
    def scan(cls, tree: Directory) -> TreeIndex:
        """Index every directory that contains an image, complete or not."""
        index = cls()
        for path in _find_images(tree, ()):
            with tree.enter(*path) as directory:
                index.add(directory, path)
        return index

    def add(self, directory: Directory, path: PathComponents) -> None:
        """Add the files of ``directory``, which is at ``path``; existing entries are kept.

        Raises:
            LimitError: the tree contains too many files.
        """
        for name in directory.list_names():
            self.by_name.setdefault(name, path)
        if len(self.by_name) > _MAX_FILES:
            raise LimitError(f"{directory.path}: more than {_MAX_FILES:,} files")
        with suppress(LimitError, MalformedError):
            root = read_root(directory)
            if root is not None:
                self.complete.add(path)
                for algorithm in ("sha256", "sha512"):
                    self.roots.setdefault(Digest.of(root, algorithm), path)

    def locate(self, node: Node, tree: Directory) -> PathComponents:
        """Return the path of a manifest or a blob in any image.

        Raises:
            NotFoundError: no image contains it.
        """
        name = get_file_name(node)
        if node.kind == "manifest" and node.digest in self.roots:
            return *self.roots[node.digest], MANIFEST
        if name not in self.by_name:
            raise NotFoundError(f"{tree.path}: no image contains {node.digest}")
        return *self.by_name[name], name


def parse_image_path(name: str) -> PathComponents:
    """Parse the name of an image, a relative path that every file system can store.

    Raises:
        MalformedError: the name is not a valid path.
    """
    path = tuple(name.split("/"))
    if len(path) > _MAX_DEPTH or not is_portable(*path):
        raise MalformedError(f"{name[:200]!r} is not a valid image path")
    return path


def check_image_paths(
    paths: Collection[PathComponents], present: Collection[PathComponents] = ()
) -> None:
    """Check that no directory of an image is within that of another; ``present`` ones exist.

    Letter case is ignored, since many file systems of media ignore it.

    Raises:
        ConflictError: a directory is within another.
    """
    folded: dict[PathComponents, PathComponents] = {}
    for path in (*present, *paths):
        folded[tuple(part.casefold() for part in path)] = path
    new = {tuple(part.casefold() for part in path) for path in paths}
    for key, path in folded.items():
        for depth in range(1, len(key)):
            above = folded.get(key[:depth])
            if above is not None and (key in new or key[:depth] in new):
                raise ConflictError(
                    f"{'/'.join(path)}: within the directory of another image, {'/'.join(above)}",
                    subjects=("/".join(above), "/".join(path)),
                    hint="rename one of them with --names FROM=TO",
                )


def _find_images(tree: Directory, path: PathComponents) -> Iterator[PathComponents]:
    with tree.enter(*path) as directory:
        if path and directory.get_size(VERSION) is not None:
            yield path
            return
        with os.scandir(directory.fd) as items:
            names = sorted(item.name for item in items if item.is_dir(follow_symlinks=False))
    if len(path) < _MAX_DEPTH:
        for name in names:
            if is_portable(name):
                with suppress(
                    BundlerError
                ):  # for example lost+found, which is readable only for root
                    yield from _find_images(tree, (*path, name))
