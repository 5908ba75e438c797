"""The driver ``overlay``: each layer's own files in a directory, put over another by the kernel.

``overlay/ID/diff`` holds the files, ``link`` a short name, ``lower`` the short names of all layers
below; ``overlay/l/SHORT`` are links to them, since a mount's options have to fit in one page.

https://docs.kernel.org/filesystems/overlayfs.html
"""

from __future__ import annotations

import os
import secrets
import stat
import string
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError
from bundler.transports.containers_storage.drivers.driver import ROOT_MODE
from bundler.transports.containers_storage.drivers.rooted_tree import Parts, Tree, remove_tree

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_SHORT = 26
_SHORT_LETTERS = string.ascii_uppercase + string.digits
_MAX_LOWER = 64 * 1024


class Overlay:
    """Layers below ``root``; ``as_files`` where a program mounts them that reads ``.wh.`` names."""

    def __init__(self, root: Path, *, as_files: bool, in_userns: bool) -> None:
        self.home = root / "overlay"
        self.removals = _Removals(as_files=as_files, in_userns=in_userns)

    def stage(self, staging: Path, parent: str | None) -> Path:
        """As the protocol has it."""
        diff = staging / "diff"
        short = "".join(secrets.choice(_SHORT_LETTERS) for _ in range(_SHORT))
        try:
            for name in ("diff", "work", "merged", *(() if parent else ("empty",))):
                (staging / name).mkdir(0o700)
            (staging / "link").write_text(short, encoding="ascii")
            if parent is None:
                diff.chmod(ROOT_MODE)
            else:
                (staging / "lower").write_text(self._lower(parent), encoding="ascii")
                above = os.lstat(self.home / parent / "diff")
                os.chown(diff, above.st_uid, above.st_gid)
                diff.chmod(stat.S_IMODE(above.st_mode))
        except OSError as error:
            raise explained(error, staging, "cannot make a layer here") from error
        return diff

    def publish(self, staging: Path, layer: str) -> None:
        """As the protocol has it."""
        links = self.home / "l"
        try:
            links.mkdir(0o755, parents=True, exist_ok=True)
            short = self._read(staging, "link").strip()
            (links / short).symlink_to(f"../{layer}/diff")
            staging.rename(self.home / layer)
        except OSError as error:
            raise explained(error, self.home / layer, "cannot write") from error

    def remove(self, layer: str) -> None:
        """As the protocol has it."""
        try:
            with Directory.open(self.home) as home:
                short = self._short(layer)
                if short is not None and (self.home / "l").is_dir():
                    with home.enter("l") as links:
                        links.remove(short)
                remove_tree(layer, home.fd)
        except OSError as error:
            raise explained(error, self.home / layer, "cannot remove") from error

    def files(self, layer: str) -> Tree:
        """As the protocol has it."""
        return Tree.open(self.home / layer / "diff")

    def _lower(self, parent: str) -> str:
        """The short names of all layers below a child of ``parent``, the nearest first."""
        short = self._short(parent)
        if short is None:
            raise MalformedError(f"{self.home / parent}: a layer without its short name")
        names = [f"l/{short}"]
        if (self.home / parent / "lower").exists():
            names.append(self._read(self.home / parent, "lower"))
        return ":".join(names)

    def _short(self, layer: str) -> str | None:
        if not (self.home / layer / "link").exists():
            return None
        short = self._read(self.home / layer, "link").strip()
        if not short.isalnum() or not short.isascii():
            raise MalformedError(f"{self.home / layer / 'link'}: {short[:40]!r} is no short name")
        return short

    def _read(self, folder: Path, name: str) -> str:
        with Directory.open(folder) as opened:
            return opened.read(name, limit=_MAX_LOWER).decode("ascii", "replace")


class _Removals:
    """Removals in overlayfs's own form: a device 0:0, and an attribute of an emptied directory."""

    def __init__(self, *, as_files: bool, in_userns: bool) -> None:
        self.as_files = as_files
        self._opaque = f"{'user' if in_userns else 'trusted'}.overlay.opaque"

    def remove(self, tree: Tree, parts: Parts, owner: tuple[int, int]) -> None:
        try:
            folder = tree.directory(parts[:-1], make=True)
        except NotADirectoryError:
            return  # some tools remove what is in a directory that they have removed already
        name = parts[-1]
        if tree.status(parts) is not None:
            return  # what this layer brought itself hides what is below
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=folder)
        os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)

    def empty(self, tree: Tree, parts: Parts, own: Collection[Parts]) -> None:  # noqa: ARG002 - the protocol's form
        os.setxattr(tree.directory(parts, make=True), self._opaque, b"y")
