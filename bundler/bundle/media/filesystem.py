"""The medium under a bundle: what its file system can hold, and whether this may go there.

All of it is asked before the first byte is written. What a file system can do is known by its
type, which the kernel tells in ``/proc/self/mountinfo`` (proc(5)); where that is not to be had,
nothing is assumed but free space.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.bundle.format import directory as layout
from bundler.content.files.os_errors import explained, free_space
from bundler.content.files.safe_directory import Directory
from bundler.errors import IntegrityError, MediumError, NoSpaceError
from bundler.errors.counts import shortlist
from bundler.oci import image_layout
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME
from bundler.transports.directory import tree

if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNTINFO = Path("/proc/self/mountinfo")
MEDIA_ROOTS = (Path("/media"), Path("/mnt"), Path("/run/media"), Path("/Volumes"))
"""Where media are mounted, by hand or by a desktop."""
MAX_FAT_FILE = 2**32 - 1

_FAT = frozenset({"vfat", "msdos", "umsdos"})
_NO_HARD_LINKS = _FAT | {"exfat"}
# Made to be carried: what sticks, cards and discs are formatted with.
_PORTABLE = _FAT | {"exfat", "ntfs", "ntfs3", "fuseblk", "udf", "iso9660", "hfsplus"}
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Medium:
    """What holds, or will hold, a bundle's directory."""

    mount_point: Path
    device: str
    """The mounted device or share, as ``/dev/sdb1``; empty: not known."""
    file_system: str
    """Its type, as ``vfat`` or ``ext4``; empty: not known."""
    read_only: bool
    free: int
    """Bytes that an ordinary user may still write."""

    @property
    def largest_file(self) -> int | None:
        """The size in bytes of the largest file that it can hold; None: no limit that matters."""
        return MAX_FAT_FILE if self.file_system in _FAT else None

    @property
    def hard_links(self) -> bool:
        """Whether one file can have two names."""
        return self.file_system not in _NO_HARD_LINKS

    @property
    def removable(self) -> bool:
        """Whether this looks like something that will be carried away."""
        return self.file_system in _PORTABLE or _media_root(self.mount_point) is not None

    @property
    def farewell(self) -> str:
        """The last line of a command that wrote to it, once everything is durable."""
        if not self.removable:
            return f"all of it is on the disk mounted at {self.mount_point}"
        return f"the medium at {self.mount_point} may be unmounted now"

    def to_json(self) -> dict[str, Any]:
        """Return the same for machines; sizes in bytes."""
        return {
            "mountPoint": str(self.mount_point),
            "device": self.device,
            "fileSystem": self.file_system,
            "free": self.free,
            "removable": self.removable,
        }


def inspect(place: Path, *, mountinfo: Path = MOUNTINFO) -> Medium:
    """The medium that holds ``place``, or would if it were made."""
    existing = _nearest_existing(place)
    mount = _mount_of(existing, mountinfo)
    return Medium(
        mount_point=mount.point,
        device=mount.device,
        file_system=mount.file_system,
        read_only=mount.read_only or _read_only(existing),
        free=free_space(existing),
    )


def check_place(
    bundle: Path,
    *,
    stream: str = "bundle",
    parents: bool = False,
    on_system_disk: bool = False,
    mountinfo: Path = MOUNTINFO,
) -> Medium:
    """Whether a bundle may be written in the directory ``bundle``; the medium it is on.

    Args:
        bundle: the directory, which may not exist yet.
        stream: what a directory below it would be called, where it holds other things.
        parents: whether directories above it may be made.
        on_system_disk: whether an empty directory for mounts may be used without a mount.
        mountinfo: where the kernel tells what is mounted.

    Raises:
        MediumError: read-only, not a directory, full of somebody else's files, in a directory
            that does not exist, or where a medium seems to be not mounted.
    """
    medium = inspect(bundle, mountinfo=mountinfo)
    existing = _nearest_existing(bundle)
    if not existing.is_dir():
        raise MediumError(
            f"{existing}: not a directory", hint="name a directory; it is made if it is missing"
        )
    if not on_system_disk:
        _refuse_unmounted(existing, medium)
    parent = bundle.absolute().parent
    if not parents and not parent.exists():
        raise MediumError(
            f"{parent}: no such directory",
            path=str(parent),
            hint="mount the medium, or create the directory with --parents",
        )
    if medium.read_only:
        raise MediumError(
            f"{bundle}: the medium at {medium.mount_point} is mounted read-only",
            hint="slide the stick's lock, or mount it writable: "
            f"mount -o remount,rw {medium.mount_point}",
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise MediumError(
            f"{existing}: you may not write there",
            hint="name another directory, or ask for the right to write in this one",
        )
    if existing == bundle.absolute():
        _refuse_foreign(bundle, bundle / stream)
    return medium


def check_room(bundle: Path, needed: int, largest: int, *, mountinfo: Path = MOUNTINFO) -> Medium:
    """Whether there is room for ``needed`` more bytes and for one file of ``largest``.

    Raises:
        NoSpaceError: too few bytes are free.
        MediumError: its file system cannot hold so large a file.
    """
    medium = inspect(bundle, mountinfo=mountinfo)
    if medium.largest_file is not None and largest > medium.largest_file:
        raise MediumError(
            f"{bundle}: the largest blob has {largest:,} bytes, and no file on "
            f"{medium.file_system} (FAT) can have more than {medium.largest_file:,}",
            hint="format the medium as exFAT or ext4, or write the bundle to another one",
        )
    if needed > medium.free:
        raise NoSpaceError(str(bundle), needed=needed, free=medium.free)
    return medium


@dataclass(frozen=True, slots=True)
class _Mount:
    point: Path
    device: str
    file_system: str
    read_only: bool


def _nearest_existing(place: Path) -> Path:
    place = place.absolute()
    return next(one for one in (place, *place.parents) if one.exists())


def _read_only(existing: Path) -> bool:
    try:
        return bool(os.statvfs(existing).f_flag & os.ST_RDONLY)
    except OSError as error:
        raise explained(error, existing, "cannot look at its file system") from error


def _mount_of(existing: Path, mountinfo: Path) -> _Mount:
    """The last mount on the longest path above ``existing``: it hides those before it."""
    resolved = existing.resolve()
    above = {resolved, *resolved.parents}
    found = _Mount(Path("/"), "", "", read_only=False)
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return found
    for mount in _mounts(lines):
        if mount.point in above and len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def _mounts(lines: Iterable[str]) -> Iterable[_Mount]:
    for line in lines:
        # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) >= 6 and len(right) >= 3:
            options = {*left[5].split(","), *right[2].split(",")}
            point, device = Path(_unescaped(left[4])), _unescaped(right[1])
            yield _Mount(point, device, right[0], "ro" in options)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def _refuse_unmounted(existing: Path, medium: Medium) -> None:
    """Refuse a mount point with nothing mounted: the bundle would fill the system disk."""
    root = _media_root(existing.resolve())
    mounts_known = bool(medium.file_system)
    if root is None or not mounts_known or medium.mount_point.is_relative_to(root):
        return
    if not _names(existing):
        raise MediumError(
            f"{existing}: no medium is mounted there, it is an empty directory of the file system"
            f" at {medium.mount_point}",
            path=str(existing),
            hint="mount the medium, or add --on-system-disk to write there all the same",
        )


def _media_root(path: Path) -> Path | None:
    """The directory for mounts that ``path`` is in; None: in none of them."""
    return next((root for root in MEDIA_ROOTS if path.is_relative_to(root)), None)


def _refuse_foreign(bundle: Path, better: Path) -> None:
    """What is not a bundle, whole or interrupted, does not become one: it would lose its files."""
    names = _names(bundle)
    if not {layout.INVENTORY, layout.SUMS, layout.GUIDE}.isdisjoint(names):
        return
    if layout.INDEX in names and _is_anothers_layout(bundle):
        raise MediumError(
            f"{bundle}: holds an image layout that is not a bundle",
            hint=f"name a directory of its own for the bundle, such as {better}",
        )
    ours = tree.STAGING
    foreign = [name for name in names if not (name == ours or layout.may_be_left_over(name))]
    if layout.IMAGES in names:
        images = _names(bundle / layout.IMAGES)
        foreign += [f"{layout.IMAGES}/{name}" for name in images if not layout.is_image(name)]
    if foreign:
        raise MediumError(
            f"{bundle}: holds other files: {shortlist(foreign)}",
            hint=f"name a directory of its own for the bundle, such as {better}",
        )


def _is_anothers_layout(bundle: Path) -> bool:
    """A bundle's index.json names its images twice, for containerd too; others rarely do."""
    try:
        raw = layout.read_file(bundle, layout.INDEX, image_layout.MAX_INDEX)
        entries = image_layout.LayoutIndex.parse(raw, layout.INDEX).entries
    except IntegrityError:
        return True
    return bool(entries) and not any(
        ANNOTATION_CONTAINERD_NAME in entry.annotations for entry in entries
    )


def _names(directory: Path) -> list[str]:
    with Directory.open(directory) as opened:
        return [name for name in opened.names() if not layout.is_system_file(name)]
