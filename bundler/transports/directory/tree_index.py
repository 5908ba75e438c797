"""Where images lie in a tree of ``dir:`` images, and which paths they may have.

Everything found is somebody else's claim: a link is not followed, and a name that another file
system could not hold is passed by.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.files.portable_names import is_portable
from bundler.errors import BundlerError, LimitError, MalformedError, NotFoundError
from bundler.oci.digest import Digest
from bundler.transports.directory.transport import MANIFEST, VERSION, part_name, read_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.files.safe_directory import Directory
    from bundler.ports import Node

_MAX_DEPTH = 4
_MAX_FILES = 2_000_000

Components = tuple[str, ...]


@dataclass(slots=True)
class TreeIndex:
    """Where the parts of images lie below a directory, by the names of their files."""

    folders: set[Components] = field(default_factory=set)
    complete: set[Components] = field(default_factory=set)
    by_name: dict[str, Components] = field(default_factory=dict)
    roots: dict[Digest, Components] = field(default_factory=dict)

    @classmethod
    def scan(cls, root: Directory) -> TreeIndex:
        """Look into every directory that says it holds an image."""
        found = cls()
        for path in _folders(root, ()):
            with root.enter(*path) as folder:
                found.add(folder, path)
        return found

    def add(self, folder: Directory, path: Components) -> None:
        """Remember what ``folder`` holds; what was found before stays."""
        self.folders.add(path)
        for name in folder.names():
            self.by_name.setdefault(name, path)
        if len(self.by_name) > _MAX_FILES:
            raise LimitError(f"{folder.path}: more than {_MAX_FILES:,} files")
        with suppress(LimitError, MalformedError):
            root = read_root(folder)
            if root is not None:
                self.complete.add(path)
                for algorithm in ("sha256", "sha512"):
                    self.roots.setdefault(Digest.of(root, algorithm), path)

    def locate(self, target: Node, root: Directory) -> Components:
        """The path of a part of any image.

        Raises:
            NotFoundError: no image has it.
        """
        name = part_name(target)
        if target.kind == "manifest" and target.digest in self.roots:
            return *self.roots[target.digest], MANIFEST
        if name not in self.by_name:
            raise NotFoundError(f"{root.path}: no image holds {target.digest}")
        return *self.by_name[name], name


def parse_image_path(name: str) -> Components:
    """The components of a name that any file system can hold, and that leads nowhere else.

    Raises:
        MalformedError: another name.
    """
    path = tuple(name.split("/"))
    if len(path) > _MAX_DEPTH or not all(map(is_portable, path)):
        raise MalformedError(f"{name[:200]!r} cannot be the path of an image")
    return path


def _folders(root: Directory, path: Components) -> Iterator[Components]:
    """Every directory that may hold an image; links are not followed."""
    with root.enter(*path) as folder:
        if path and folder.size(VERSION) is not None:
            yield path
            return
        with os.scandir(folder.fd) as items:
            names = sorted(item.name for item in items if item.is_dir(follow_symlinks=False))
    if len(path) < _MAX_DEPTH:
        for name in names:
            if is_portable(name):
                with suppress(BundlerError):  # a system's own directory that nobody may read
                    yield from _folders(root, (*path, name))
