"""The protocol of graph drivers, which store layers on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import PathComponents
    from bundler.transports.containers_storage.drivers.path_set import PathSet
    from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree

ROOT_MODE = 0o555
"""Mode of the root directory of a base layer, unless the layer sets another one."""


class Driver(Protocol):
    """Storage driver for the layers of a storage. All layer names are validated IDs."""

    @property
    def name(self) -> str:
        """The name in references and in the names of directories, such as ``overlay``."""

    @property
    def home(self) -> Path:
        """The driver's own directory."""

    @property
    def keep_whiteouts(self) -> bool:
        """Whether whiteouts are stored as ``.wh.`` files, as in the tar."""

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Prepare a layer on ``parent`` in the empty directory ``staging``.

        Returns the directory to unpack into. The parent is not changed.
        """

    def publish(self, staging: Path, layer: str) -> None:
        """Move a staged layer to its final path. The caller holds the lock of the layers."""

    def remove(self, layer: str) -> None:
        """Remove the files of a layer, if any. The caller holds the lock of the layers."""

    def open_tree(self, layer: str) -> RootedTree:
        """Open the tree with the files of a layer's tar; the caller closes it."""

    def hide(self, tree: RootedTree, parts: PathComponents, owner: tuple[int, int]) -> None:
        """In the tree of a layer, hide the file of a lower layer at ``parts``."""

    def make_opaque(self, tree: RootedTree, parts: PathComponents, own: PathSet) -> None:
        """Hide the content of the directory at ``parts``, except ``own``, added by this layer."""


def in_user_namespace() -> bool:
    """Return whether this process runs in a user namespace that maps user IDs."""
    try:
        text = Path("/proc/self/uid_map").read_text(encoding="ascii")
    except OSError:
        return False
    return text.split() != ["0", "0", "4294967295"]
