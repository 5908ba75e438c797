"""The options of ``export`` and ``relay`` for the medium to which they write a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import click

from bundler.cli.options.common import PATH
from bundler.cli.options.option import OWN_SECTION, option_group, spec

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.media.filesystem import MediaProfile


@dataclass(frozen=True, slots=True)
class MediumOptions:
    """The medium, its volumes, and the way in which a bundle is stored there."""

    duplicate_blobs: bool
    parents: bool
    on_system_disk: bool
    read_back: bool | None
    with_program: bool
    media_profile: MediaProfile | None
    volumes: tuple[Path, ...]
    volume_size: int | Literal["auto"] | None
    split: int | None


def _parse_profile(text: str) -> MediaProfile:
    from bundler.bundle.media.filesystem import parse_profile  # noqa: PLC0415 - rare

    return parse_profile(text)


def _parse_volume_size(text: str) -> int | Literal["auto"] | None:
    from bundler.bundle.media.filesystem import parse_profile  # noqa: PLC0415 - rare

    return "auto" if text == "auto" else parse_profile(text).largest_file


def _parse_split(text: str) -> int:
    from bundler.bundle.media.filesystem import parse_profile  # noqa: PLC0415 - rare

    size = parse_profile(text).largest_file
    if size is None:
        raise click.BadParameter(f"{text!r} has no largest file (expected for example 4GiB)")
    return size


medium = option_group(
    MediumOptions,
    "medium",
    OWN_SECTION,
    {
        "duplicate_blobs": spec(
            "--duplicate-blobs",
            is_flag=True,
            help="Format dir: copy shared blobs instead of using hard links.",
        ),
        "parents": spec(
            "--parents", is_flag=True, help="Create missing directories above DESTINATION."
        ),
        "on_system_disk": spec(
            "--on-system-disk",
            is_flag=True,
            help="Write to an empty mount point even if no medium is mounted there.",
        ),
        "read_back": spec(
            "--read-back/--no-read-back",
            default=None,
            help="Finally read the bundle again from the medium, past the cache, and compare it"
            " (default: on removable media).",
        ),
        "with_program": spec(
            "--with-program",
            is_flag=True,
            help="Also write this program for Linux on x86-64 and arm64, as carry does, which needs"
            " about 165 MB.",
        ),
        "media_profile": spec(
            "--media-profile",
            metavar="PROFILE",
            type=_parse_profile,
            help="Properties of the medium: fat32, exfat, ntfs, ext4, xfs, udf, iso9660, or the"
            " size of its largest file, such as 2GiB (default: by its file system). Larger blobs"
            " are stored in parts.",
        ),
        "volumes": spec(
            "--volume",
            multiple=True,
            type=PATH,
            metavar="DIR",
            help="Directory of a further volume, if one medium is too small; DESTINATION is the"
            " first volume. May be repeated.",
        ),
        "volume_size": spec(
            "--volume-size",
            metavar="SIZE",
            type=_parse_volume_size,
            help="Maximum size of a volume, such as 4GiB, or auto, the free space of each medium"
            " (default: auto with --volume). On a terminal, the export asks for the directories of"
            " the volumes that --volume does not name, one after the other.",
        ),
        "split": spec(
            "--split",
            metavar="SIZE",
            type=_parse_split,
            help="Write an archive in parts of this size, such as 4GiB: DESTINATION.001 and so on,"
            " with a list of their digests, DESTINATION.sha256.",
        ),
    },
)
"""The options of the group, in the parameter ``medium``."""
