"""The driver ``overlay``: each layer has a directory of its own files, which overlayfs combines.

``overlay/ID/diff`` contains the files, ``link`` the short name of the layer, and ``lower`` the
short names of all lower layers. ``overlay/l/SHORT`` is a link to ``diff``. With short names, the
mount options for many layers fit into one page, which is the kernel's limit.

https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import os
import secrets
import stat
import string
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError, NotFoundError
from bundler.transports.containers_storage.drivers.driver import ROOT_MODE, in_user_namespace
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree, remove_tree
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import PathComponents
    from bundler.transports.containers_storage.drivers.path_set import PathSet

_SHORT_NAME_SIZE = 26
_SHORT_NAME_LETTERS = string.ascii_uppercase + string.digits
_MAX_LOWER = 64 * 1024


class OverlayDriver:
    """Stores layers in ``overlay`` below ``root``. Implements ``Driver``.

    A removed file is represented by a device 0:0, and an opaque directory by an extended attribute.
    With ``keep_whiteouts``, ``.wh.`` files are stored for a mount program that reads them.
    """

    name = "overlay"

    def __init__(self, root: Path, *, keep_whiteouts: bool) -> None:
        self.home = root / "overlay"
        self.keep_whiteouts = keep_whiteouts

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Create the directories and files of a layer in the staging directory."""
        diff = staging / "diff"
        short = "".join(secrets.choice(_SHORT_NAME_LETTERS) for _ in range(_SHORT_NAME_SIZE))
        with convert_os_errors(staging, "cannot create a layer"):
            for name in ("diff", "work", "merged", *(() if parent else ("empty",))):
                (staging / name).mkdir(0o700)
            (staging / "link").write_text(short, encoding="ascii")
            if parent is None:
                diff.chmod(ROOT_MODE)
            else:
                parent_short = self._read_short_name(parent)
                if parent_short is None:
                    raise MalformedError(f"{self.home / parent}: the layer has no `link` file")
                lower = f"l/{parent_short}"
                if (below := _read_file(self.home / parent, "lower")) is not None:
                    lower += f":{below}"
                (staging / "lower").write_text(lower, encoding="ascii")
                status = os.lstat(self.home / parent / "diff")
                os.chown(diff, status.st_uid, status.st_gid)
                diff.chmod(stat.S_IMODE(status.st_mode))
        return diff

    def publish(self, staging: Path, layer: str) -> None:
        """Create the link with the short name, and rename the staging directory."""
        links = self.home / "l"
        with convert_os_errors(self.home / layer, "cannot write"):
            links.mkdir(0o755, parents=True, exist_ok=True)
            short = (staging / "link").read_text(encoding="ascii")
            (links / short).symlink_to(f"../{layer}/diff")
            staging.rename(self.home / layer)

    def remove(self, layer: str) -> None:
        """Remove the directory and the link of a layer, if they exist."""
        with convert_os_errors(self.home / layer, "cannot remove"):
            short = self._read_short_name(layer)
            if short is not None and (self.home / "l").is_dir():
                with Directory.open(self.home / "l") as links:
                    links.remove(short)
        remove_tree(self.home / layer)

    def open_tree(self, layer: str) -> RootedTree:
        """Open the files of a layer; the caller closes the tree."""
        return RootedTree.open(self.home / layer / "diff")

    def hide(self, tree: RootedTree, parts: PathComponents, owner: tuple[int, int]) -> None:
        """Create a whiteout device 0:0."""
        try:
            directory = tree.open_directory(parts[:-1], create=True)
        except NotADirectoryError:
            return  # redundant: some tools also write whiteouts below a removed directory
        if tree.status(parts) is not None:
            return  # a file of this layer already hides the lower one
        os.mknod(parts[-1], stat.S_IFCHR, os.makedev(0, 0), dir_fd=directory)
        os.chown(parts[-1], *owner, dir_fd=directory, follow_symlinks=False)

    def make_opaque(self, tree: RootedTree, parts: PathComponents, own: PathSet) -> None:  # noqa: ARG002 - the protocol's form
        """Set the attribute that marks a directory as opaque."""
        attribute = f"{'user' if in_user_namespace() else 'trusted'}.overlay.opaque"
        os.setxattr(tree.open_directory(parts, create=True), attribute, b"y")

    def _read_short_name(self, layer: str) -> str | None:
        text = _read_file(self.home / layer, "link")
        short = None if text is None else text.strip()
        if short is not None and not (short.isalnum() and short.isascii()):
            raise MalformedError(
                f"{self.home / layer}/link: {short[:40]!r} is not a valid short name"
            )
        return short


def _read_file(directory: Path, name: str) -> str | None:
    try:
        with Directory.open(directory) as opened:
            return opened.read(name, limit=_MAX_LOWER).decode("ascii", "replace")
    except NotFoundError:
        return None
