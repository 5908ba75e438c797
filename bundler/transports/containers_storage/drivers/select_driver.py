"""Select the driver of a storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.transports.containers_storage.drivers.driver import Driver

_SUPPORTED = ("overlay", "vfs")
_UNSUPPORTED = ("btrfs", "zfs", "aufs", "devicemapper")


def select_driver(name: str | None, root: Path, options: Mapping[str, str]) -> Driver:
    """Create the driver ``name`` for the storage at ``root``.

    If ``name`` is None, the driver in use is selected, and overlay for a new storage.

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
    if name == "vfs":
        from bundler.transports.containers_storage.drivers.vfs import VfsDriver  # noqa: PLC0415

        return VfsDriver(root)
    if name in ("overlay", "overlay2"):
        from bundler.transports.containers_storage.drivers.overlay import (  # noqa: PLC0415
            OverlayDriver,
        )

        program = options.get("overlay.mount_program") or options.get("mount_program")
        return OverlayDriver(root, keep_whiteouts=bool(program))
    raise UnsupportedError(
        f"{root}: unsupported storage driver {name[:40]!r}",
        hint="use overlay or vfs",
    )
