"""The driver ``vfs``: each layer is a complete tree, a modified copy of its parent."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.transports.containers_storage.drivers.copy_tree import copy_tree
from bundler.transports.containers_storage.drivers.driver import ROOT_MODE
from bundler.transports.containers_storage.drivers.rooted_tree import (
    Parts,
    RootedTree,
    remove_tree,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class VfsDriver:
    """Stores layers in ``vfs/dir`` below ``root``. Implements ``Driver``."""

    def __init__(self, root: Path) -> None:
        self.home = root / "vfs"
        self.whiteouts = _VfsWhiteouts()
        self._layers = self.home / "dir"

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Copy the parent into the staging directory."""
        tree = staging / "tree"
        try:
            tree.mkdir(0o700)
            if parent is None:
                tree.chmod(ROOT_MODE)
            else:
                with (
                    RootedTree.open(self._layers / parent) as below,
                    RootedTree.open(tree) as copy,
                ):
                    copy_tree(below.fd, copy.fd)
        except OSError as error:
            raise to_bundler_error(error, staging, "cannot copy the parent layer") from error
        return tree

    def publish(self, staging: Path, layer: str) -> None:
        """Rename the staged tree."""
        try:
            self._layers.mkdir(0o700, parents=True, exist_ok=True)
            (staging / "tree").rename(self._layers / layer)
        except OSError as error:
            raise to_bundler_error(error, self._layers / layer, "cannot write") from error

    def remove(self, layer: str) -> None:
        """Remove the tree of a layer, if it exists."""
        try:
            with Directory.open(self._layers) as layers:
                remove_tree(layer, layers.fd)
        except OSError as error:
            raise to_bundler_error(error, self._layers / layer, "cannot remove") from error

    def open_tree(self, layer: str) -> RootedTree:
        """Open the tree of a layer; the caller closes it."""
        return RootedTree.open(self._layers / layer)


class _VfsWhiteouts:
    """Removes files from the copy of the parent."""

    keep_as_files = False

    def remove(self, tree: RootedTree, parts: Parts, owner: tuple[int, int]) -> None:  # noqa: ARG002 - the protocol's form
        tree.remove(parts)

    def make_opaque(self, tree: RootedTree, parts: Parts, own: Collection[Parts]) -> None:
        pending = [parts]
        while pending:
            directory = pending.pop()
            try:
                names = os.listdir(tree.open_directory(directory))  # noqa: PTH208 - by descriptor
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                path = (*directory, name)
                if path not in own:
                    tree.remove(path)
                elif (status := tree.status(path)) and stat.S_ISDIR(status.st_mode):
                    pending.append(path)
