"""The driver ``vfs``: each layer is a whole tree, the one below copied and then changed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory
from bundler.transports.containers_storage.drivers.copy_tree import copy_tree
from bundler.transports.containers_storage.drivers.driver import ROOT_MODE
from bundler.transports.containers_storage.drivers.rooted_tree import Parts, Tree, remove_tree

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class Vfs:
    """Layers below ``root``."""

    def __init__(self, root: Path) -> None:
        self.home = root / "vfs"
        self._layers = self.home / "dir"
        self.removals = _Removals()

    def stage(self, staging: Path, parent: str | None) -> Path:
        """As the protocol has it."""
        tree = staging / "tree"
        try:
            tree.mkdir(0o700)
            if parent is None:
                tree.chmod(ROOT_MODE)
            else:
                with Tree.open(self._layers / parent) as below, Tree.open(tree) as copy:
                    copy_tree(below.fd, copy.fd)
        except OSError as error:
            raise explained(error, staging, "cannot copy a layer here") from error
        return tree

    def publish(self, staging: Path, layer: str) -> None:
        """As the protocol has it."""
        try:
            self._layers.mkdir(0o700, parents=True, exist_ok=True)
            (staging / "tree").rename(self._layers / layer)
        except OSError as error:
            raise explained(error, self._layers / layer, "cannot write") from error

    def remove(self, layer: str) -> None:
        """As the protocol has it."""
        try:
            with Directory.open(self._layers) as home:
                remove_tree(layer, home.fd)
        except OSError as error:
            raise explained(error, self._layers / layer, "cannot remove") from error

    def files(self, layer: str) -> Tree:
        """As the protocol has it."""
        return Tree.open(self._layers / layer)


class _Removals:
    """What is removed is not there."""

    as_files = False

    def remove(self, tree: Tree, parts: Parts, owner: tuple[int, int]) -> None:  # noqa: ARG002 - the protocol's form
        tree.remove(parts)

    def empty(self, tree: Tree, parts: Parts, own: Collection[Parts]) -> None:
        ahead = [parts]
        while ahead:
            folder = ahead.pop()
            try:
                names = os.listdir(tree.directory(folder))  # noqa: PTH208 - by descriptor
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                inner = (*folder, name)
                if inner not in own:
                    tree.remove(inner)
                elif (found := tree.status(inner)) and stat.S_ISDIR(found.st_mode):
                    ahead.append(inner)
