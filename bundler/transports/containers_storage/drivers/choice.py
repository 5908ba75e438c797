"""Choose the driver of a storage, and create it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError, UsageError
from bundler.transports.containers_storage.drivers.overlay import OverlayDriver
from bundler.transports.containers_storage.drivers.vfs import VfsDriver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.transports.containers_storage.drivers.driver import Driver

_SUPPORTED = ("overlay", "vfs")
_UNSUPPORTED = ("btrfs", "zfs", "aufs", "devicemapper")


def choose_driver(name: str | None, root: Path) -> str:
    """Choose the driver for the storage at ``root``: ``name``, else the one in use, else overlay.

    Raises:
        UnsupportedError: the driver is not supported.
        UsageError: several drivers are in use and ``name`` is None.
    """
    if not name:
        used = [driver for driver in (*_SUPPORTED, *_UNSUPPORTED) if (root / driver).is_dir()]
        if len(used) > 1:
            raise UsageError(
                f"{root}: several drivers are in use: {', '.join(used)}",
                hint=f"specify one: containers-storage:[{used[0]}@{root}]NAME",
            )
        name = used[0] if used else "overlay"
    elif name == "overlay2":
        name = "overlay"
    if name not in _SUPPORTED:
        raise UnsupportedError(
            f"{root}: unsupported storage driver {name[:40]!r}",
            hint="use overlay or vfs",
        )
    return name


def create_driver(name: str, root: Path, options: Mapping[str, str], *, in_userns: bool) -> Driver:
    """Create the driver ``name`` for the storage at ``root``."""
    if name == "vfs":
        return VfsDriver(root)
    program = options.get("overlay.mount_program") or options.get("mount_program")
    return OverlayDriver(root, keep_whiteouts=bool(program), in_userns=in_userns)


def in_user_namespace() -> bool:
    """Report whether this process runs in a user namespace that maps user IDs."""
    try:
        text = Path("/proc/self/uid_map").read_text(encoding="ascii")
    except OSError:
        return False
    return text.split() != ["0", "0", "4294967295"]
