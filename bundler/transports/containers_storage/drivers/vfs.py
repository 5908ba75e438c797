"""The driver ``vfs``: each layer is a complete tree, a modified copy of its parent."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from bundler.transports.containers_storage.drivers.copy_tree import copy_tree
from bundler.transports.containers_storage.drivers.driver import ROOT_MODE
from bundler.transports.containers_storage.drivers.open_path import PendingNames
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree, remove_tree
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import PathComponents
    from bundler.transports.containers_storage.drivers.path_set import PathSet


class VfsDriver:
    """Stores layers in ``vfs/dir`` below ``root``. Implements ``Driver``."""

    name = "vfs"
    keep_whiteouts = False

    def __init__(self, root: Path) -> None:
        self.home = root / "vfs"
        self._layers = self.home / "dir"

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Copy the parent into the staging directory."""
        tree = staging / "tree"
        with convert_os_errors(staging, "cannot copy the parent layer"):
            tree.mkdir(0o700)
            if parent is None:
                tree.chmod(ROOT_MODE)
            else:
                (staging / "links").mkdir(0o700)
                with (
                    self.open_tree(parent) as below,
                    RootedTree.open(tree) as copy,
                    RootedTree.open(staging / "links") as links,
                ):
                    copy_tree(below.fd, copy.fd, links.fd)
                remove_tree(staging / "links")
        return tree

    def publish(self, staging: Path, layer: str) -> None:
        """Rename the staged tree."""
        with convert_os_errors(self._layers / layer, "cannot write"):
            self._layers.mkdir(0o700, parents=True, exist_ok=True)
            (staging / "tree").rename(self._layers / layer)

    def remove(self, layer: str) -> None:
        """Remove the tree of a layer, if it exists."""
        remove_tree(self._layers / layer)

    def open_tree(self, layer: str) -> RootedTree:
        """Open the tree of a layer; the caller closes it."""
        return RootedTree.open(self._layers / layer)

    def hide(self, tree: RootedTree, parts: PathComponents, owner: tuple[int, int]) -> None:  # noqa: ARG002 - the protocol's form
        """Remove the copy of the file."""
        tree.remove(parts)

    def make_opaque(self, tree: RootedTree, parts: PathComponents, own: PathSet) -> None:
        """Remove the copies of the files in the directory, whose names are not kept in memory."""
        try:
            fd = tree.open_directory(parts)
        except (FileNotFoundError, NotADirectoryError):
            return
        directory = parts
        with PendingNames() as names:
            names.push_entries(fd)
            while True:
                name = names.pop()
                if name is None:
                    if directory == parts:
                        return
                    directory = directory[:-1]
                elif (path := (*directory, name)) not in own:
                    tree.remove(path)
                elif (status := tree.status(path)) and stat.S_ISDIR(status.st_mode):
                    names.push_entries(tree.open_directory(path))
                    directory = path
