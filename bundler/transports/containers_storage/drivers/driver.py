"""The protocol of graph drivers: how layers are stored on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.transports.containers_storage.drivers.apply_diff import WhiteoutHandler
    from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree

ROOT_MODE = 0o555
"""Mode of the root directory of a base layer, unless the layer sets another one."""


class Driver(Protocol):
    """Stores layers below the root of a storage. All layer names are validated IDs."""

    @property
    def home(self) -> Path:
        """The driver's own directory."""
        ...

    @property
    def whiteouts(self) -> WhiteoutHandler:
        """The representation of removed files."""
        ...

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Prepare a layer on ``parent`` in the empty directory ``staging``.

        Returns the directory to unpack into. The parent is only read.
        """
        ...

    def publish(self, staging: Path, layer: str) -> None:
        """Move a staged layer to its final path. The caller holds the lock of the layers."""
        ...

    def remove(self, layer: str) -> None:
        """Remove the files of a layer, if any. The caller holds the lock of the layers."""
        ...

    def open_tree(self, layer: str) -> RootedTree:
        """Open the tree with the files of a layer's tar; the caller closes it."""
        ...
