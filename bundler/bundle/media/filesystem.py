"""The medium of a bundle: its file system, its free space, and whether a bundle may be written.

Everything is checked before the first byte is written. The limits of a file system follow from its
type in ``/proc/self/mountinfo`` (proc(5)); if that cannot be read, only free space is checked.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.content.files.os_errors import find_existing, to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import IntegrityError, MediumError, UsageError, shortlist
from bundler.oci import image_layout
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME

MOUNTINFO = Path("/proc/self/mountinfo")
MEDIA_ROOTS = (Path("/media"), Path("/mnt"), Path("/run/media"), Path("/Volumes"))
"""The directories in which media are mounted, manually or by a desktop environment."""
MAX_FAT_FILE = 2**32 - 1

_FAT = frozenset({"vfat", "msdos", "umsdos", "fuse.fusefat"})
_NO_HARD_LINKS = _FAT | {"exfat"}
# The file systems of USB sticks, memory cards and optical discs.
_PORTABLE = _FAT | {"exfat", "ntfs", "ntfs3", "fuseblk", "udf", "iso9660", "hfsplus"}
_SIZE = re.compile(r"([1-9][0-9]{0,8})([KMGT])?i?B?", re.ASCII)
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MediaProfile:
    """The properties of a file system that are stated by the user."""

    largest_file: int | None = None
    """The maximum size of a file in bytes; None: no relevant limit."""
    hard_links: bool = True


PROFILES = {
    "fat32": MediaProfile(MAX_FAT_FILE, hard_links=False),
    "exfat": MediaProfile(hard_links=False),
    "ntfs": MediaProfile(),
    "ext4": MediaProfile(),
    "xfs": MediaProfile(),
    "udf": MediaProfile(),
    "iso9660": MediaProfile(MAX_FAT_FILE),
}
"""The media profiles by name."""


@dataclass(frozen=True, slots=True)
class Medium:
    """The mounted file system on which a bundle is stored."""

    existing: Path
    """The inspected directory, or the nearest one above it that exists."""
    mount_point: Path
    device: str
    """The mounted device or share, such as ``/dev/sdb1``; empty if unknown."""
    file_system: str
    """The type, such as ``vfat`` or ``ext4``; empty if unknown."""
    read_only: bool
    free: int
    """The bytes that an unprivileged user may still write."""
    total: int
    """The size of the file system in bytes."""
    free_files: int | None
    """The number of files that can still be created; None: no such limit."""
    profile: MediaProfile | None = None
    """The properties that the user states; None: those of ``file_system`` apply."""

    @property
    def states_space(self) -> bool:
        """Whether the file system states its space; some of FUSE do not."""
        return self.total > 0

    @property
    def largest_file(self) -> int | None:
        """The maximum size of a file in bytes; None: no relevant limit."""
        if self.profile is not None:
            return self.profile.largest_file
        return MAX_FAT_FILE if self.file_system in _FAT else None

    @property
    def hard_links(self) -> bool:
        """Whether the file system supports hard links."""
        if self.profile is not None:
            return self.profile.hard_links
        return self.file_system not in _NO_HARD_LINKS

    @property
    def removable(self) -> bool:
        """Whether the medium is probably removable, judged by its file system and mount point."""
        return self.file_system in _PORTABLE or _find_media_root(self.mount_point) is not None

    @property
    def completion_message(self) -> str:
        """The last line that a command prints after it has written to the medium."""
        if not self.removable:
            return f"everything is stored on the disk mounted at {self.mount_point}"
        command = f"umount {shlex.quote(str(self.mount_point))}"
        return f"the medium at {self.mount_point} may be unmounted now: {command}"

    def to_json(self) -> dict[str, Any]:
        """Return the medium as JSON; sizes are in bytes."""
        return {
            "mountPoint": str(self.mount_point),
            "device": self.device,
            "fileSystem": self.file_system,
            "free": self.free,
            "removable": self.removable,
            "readOnly": self.read_only,
            "total": self.total,
            "freeFiles": self.free_files,
            "largestFile": self.largest_file,
        }


def parse_profile(text: str) -> MediaProfile:
    """Parse the name of a file system, or the size of its largest file: ``fat32``, ``2GiB``.

    Raises:
        UsageError: it is neither.
    """
    if text in PROFILES:
        return PROFILES[text]
    match = _SIZE.fullmatch(text)
    if match is None or not (size := int(match[1]) * 1024 ** " KMGT".index(match[2] or " ")):
        raise UsageError(
            f"{text[:40]!r} is not a media profile (expected {', '.join(PROFILES)}, or the size of"
            " the largest file, such as 2GiB)"
        )
    return MediaProfile(size)


def inspect(
    path: Path, profile: MediaProfile | None = None, *, mountinfo: Path = MOUNTINFO
) -> Medium:
    """Return the medium that contains ``path``, or would contain it if it existed.

    ``profile`` replaces the properties of its file system.
    """
    existing = find_existing(path)
    resolved = existing.resolve()
    above = {resolved, *resolved.parents}
    mount_point, device, file_system, read_only = Path("/"), "", "", False
    try:
        lines = mountinfo.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        lines = []
    for line in lines:
        # 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < 6 or len(right) < 3:
            continue
        point = Path(_unescape(left[4]))
        # The longest mount point applies; of several mounts on it, only the last one is visible.
        if point in above and len(point.parts) >= len(mount_point.parts):
            mount_point, device, file_system = point, _unescape(right[1]), right[0]
            read_only = "ro" in {*left[5].split(","), *right[2].split(",")}
    try:
        status = os.statvfs(existing)
    except OSError as error:
        raise to_bundler_error(error, existing, "cannot inspect its file system") from error
    read_only = read_only or bool(status.f_flag & os.ST_RDONLY)
    return Medium(
        existing=existing,
        mount_point=mount_point,
        device=device,
        file_system=file_system,
        read_only=read_only,
        free=status.f_bavail * status.f_frsize,
        total=status.f_blocks * status.f_frsize,
        free_files=status.f_favail if status.f_files else None,
        profile=profile,
    )


def check_directory(
    bundle: Path,
    medium: Medium,
    *,
    stream: str = "bundle",
    parents: bool = False,
    on_system_disk: bool = False,
) -> None:
    """Check that a bundle may be written to the directory ``bundle``, which is on ``medium``.

    It need not exist, nor, with ``parents``, the directories above it. ``on_system_disk`` permits
    an empty mount point on which nothing is mounted. If the directory contains other files, the
    hint proposes a subdirectory with the name ``stream``.

    Raises:
        MediumError: the medium is read-only; or ``bundle`` is not a directory, contains other
            files, has no parent directory, or seems to be a mount point without a mount.
    """
    check_location(bundle, medium, parents=parents, on_system_disk=on_system_disk)
    if medium.existing == bundle.absolute():
        _refuse_foreign(bundle, proposal=bundle / stream)


def check_location(
    bundle: Path, medium: Medium, *, parents: bool = False, on_system_disk: bool = False
) -> None:
    """Check that ``bundle``, a directory or a new file on ``medium``, may be written there.

    The arguments are those of ``check_directory``.

    Raises:
        MediumError: the medium is read-only; or there is no directory for ``bundle``, or it seems
            to be a mount point without a mount.
    """
    existing = medium.existing
    if not existing.is_dir():
        raise MediumError(
            f"{existing}: not a directory",
            path=str(existing),
            hint="specify a directory; it is created if it does not exist",
        )
    media_root = _find_media_root(existing.resolve())
    mounts_known = bool(medium.file_system)
    mounted = media_root is None or medium.mount_point.is_relative_to(media_root)
    if not on_system_disk and mounts_known and not mounted and not _list_names(existing):
        raise MediumError(
            f"{existing}: no medium is mounted (an empty directory of the file system"
            f" at {medium.mount_point})",
            path=str(existing),
            hint="mount the medium, or add --on-system-disk to write there anyway",
        )
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
            path=str(bundle),
            hint="disable the write protection, or mount it writable: "
            f"mount -o remount,rw {medium.mount_point}",
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise MediumError(
            f"{existing}: no write permission",
            path=str(existing),
            hint="specify another directory, or request write permission",
        )


def check_largest_file(path: Path, medium: Medium, largest: int) -> None:
    """Check that ``medium`` can store a file of ``largest`` bytes.

    Raises:
        MediumError: the file system cannot store a file of that size.
    """
    if medium.largest_file is not None and largest > medium.largest_file:
        raise MediumError(
            f"{path}: the largest blob is too large for the file system {medium.file_system}"
            f" (expected at most {medium.largest_file:,} bytes, got {largest:,})",
            path=str(path),
            hint="format the medium as exFAT or ext4, or write the bundle to another one",
        )


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def _find_media_root(path: Path) -> Path | None:
    """Return the media root that contains ``path``; None if there is none."""
    return next((root for root in MEDIA_ROOTS if path.is_relative_to(root)), None)


def _refuse_foreign(bundle: Path, proposal: Path) -> None:
    """Refuse a directory with foreign files, because an export would list or remove them."""
    names = _list_names(bundle)
    if not names or not {
        bundle_paths.INVENTORY,
        bundle_paths.CHECKSUM_FILE,
        bundle_paths.INSTRUCTIONS,
    }.isdisjoint(names):
        return
    from bundler.transports.directory.staging import STAGING  # noqa: PLC0415 - not for a new bundle

    problem = ""
    if bundle_paths.INDEX in names:
        try:
            with Directory.open(bundle) as directory:
                raw = bundle_files.read_file(directory, bundle_paths.INDEX, image_layout.MAX_INDEX)
            entries = image_layout.LayoutIndex.parse(raw, bundle_paths.INDEX).entries
            # An export writes the annotation of containerd, which most other programs omit.
            is_ours = not entries or any(
                ANNOTATION_CONTAINERD_NAME in entry.annotations for entry in entries
            )
        except IntegrityError:
            is_ours = False
        if not is_ours:
            problem = "contains an image layout that is not a bundle"
    foreign = [
        name for name in names if not (name == STAGING or bundle_paths.may_be_left_over(name))
    ]
    if bundle_paths.IMAGES in names:
        images = _list_names(bundle / bundle_paths.IMAGES)
        foreign += [
            f"{bundle_paths.IMAGES}/{name}" for name in images if not bundle_paths.is_image(name)
        ]
    if foreign and not problem:
        problem = f"contains other files: {shortlist(foreign)}"
    if problem:
        raise MediumError(
            f"{bundle}: {problem}",
            path=str(bundle),
            hint=f"specify a directory for the bundle alone, such as {proposal}",
        )


def _list_names(directory: Path) -> list[str]:
    with Directory.open(directory) as opened:
        return [name for name in opened.list_names() if not bundle_paths.is_system_file(name)]
