"""What the two drivers have in common, and which of them a storage uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundler.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.transports.containers_storage.drivers.apply_diff import WhiteoutHandler
    from bundler.transports.containers_storage.drivers.rooted_tree import Tree

NAMES = ("overlay", "vfs")
_FOREIGN = ("btrfs", "zfs", "aufs", "devicemapper")
ROOT_MODE = 0o555
"""Of the root of a layer on nothing, unless the layer says otherwise."""


class Driver(Protocol):
    """How layers lie below a storage's root. All names are ids that were checked."""

    @property
    def home(self) -> Path:
        """The driver's own directory."""
        ...

    @property
    def removals(self) -> WhiteoutHandler:
        """How a layer removes what lies below it."""
        ...

    def stage(self, staging: Path, parent: str | None) -> Path:
        """Make a layer on ``parent`` in the empty directory ``staging``; the root to unpack into.

        The parent is only read.
        """
        ...

    def publish(self, staging: Path, layer: str, parent: str | None) -> None:
        """Move a staged layer to its place; for the holder of the lock."""
        ...

    def remove(self, layer: str) -> None:
        """Remove a layer's files, as far as they are there; for the holder of the lock."""
        ...

    def files(self, layer: str) -> Tree:
        """Where the files of a layer's tar lie; the caller closes it."""
        ...


def choose(name: str | None, root: Path) -> str:
    """The driver for the storage at ``root``: the one that was named, used before, or usual.

    Raises:
        UnsupportedError: one that this program does not write.
        UsageError: several were used there, and none was named.
    """
    if name:
        if name == "overlay2":
            return "overlay"
        if name not in NAMES:
            raise UnsupportedError(
                f"{root}: the storage driver {name[:40]!r} is not supported",
                hint="overlay and vfs are",
            )
        return name
    used = [one for one in (*NAMES, *_FOREIGN) if (root / one).is_dir()]
    if len(used) > 1:
        raise UsageError(
            f"{root}: holds the storages of several drivers: {', '.join(used)}",
            hint=f"name one, as in containers-storage:[{used[0]}@{root}]NAME",
        )
    if used:
        return choose(used[0], root)
    return "overlay"


def make(name: str, root: Path, options: Mapping[str, str], *, in_userns: bool) -> Driver:
    """The driver called ``name`` for the storage at ``root``."""
    if name == "vfs":
        from bundler.transports.containers_storage.drivers.vfs import Vfs  # noqa: PLC0415 - one driver is needed

        return Vfs(root)
    from bundler.transports.containers_storage.drivers.overlay import Overlay  # noqa: PLC0415 - as above

    program = options.get("overlay.mount_program") or options.get("mount_program")
    return Overlay(root, as_files=bool(program), in_userns=in_userns)


def in_user_namespace() -> bool:
    """Whether user ids here are others outside."""
    try:
        text = Path("/proc/self/uid_map").read_text(encoding="ascii")
    except OSError:
        return False
    return text.split() != ["0", "0", "4294967295"]
