"""The names of the parts of an archive that is split: ``plant.airbundle.001`` and so on.

Beside them, ``plant.airbundle.sha256`` lists their digests, in the format of sha256sum(1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import LimitError, MalformedError, UsageError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_PARTS = 999

_PART = re.compile(r"(.+)\.([0-9]{3})")
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_MAX_LIST = 512 * 1024  # bytes


def format_part_path(archive: Path, number: int) -> Path:
    """Return the path of a part of ``archive``, counted from 1."""
    return archive.with_name(f"{archive.name}.{number:03}")


def format_list_path(archive: Path) -> Path:
    """Return the path of the list of the digests of the parts."""
    return archive.with_name(f"{archive.name}.sha256")


def parse_part_path(path: Path) -> tuple[Path, int] | None:
    """Return the archive and the number in the path of a part; None for other paths."""
    match = _PART.fullmatch(path.name)
    if match is None or not bundle_paths.is_archive_file_name(match[1]) or match[2] == "000":
        return None
    return path.with_name(match[1]), int(match[2])


def find_parts(paths: Sequence[Path]) -> dict[int, Path] | None:
    """Return the parts of the archive at ``paths``, by their numbers; None: it is not split.

    A single path, of the archive or of one part, stands for all parts in its directory.

    Raises:
        UsageError: some paths are parts, and others are not, or are those of another archive.
    """
    named = [parse_part_path(path) for path in paths]
    if len(paths) == 1:
        archive = paths[0] if named[0] is None else named[0][0]
        if named[0] is None and (
            paths[0].exists() or not bundle_paths.is_archive_file_name(paths[0].name)
        ):
            return None
        return list_parts(archive) or None
    if not any(named) or all(path.is_dir() for path in paths):
        return None
    found: dict[int, Path] = {}
    for path, part in zip(paths, named, strict=True):
        if part is None:
            raise UsageError(f"{path}: not a part of an archive, as the other paths are")
        if part[1] in found:
            raise UsageError(f"{path}: part {part[1]} again, which is also {found[part[1]]}")
        found[part[1]] = path
    return found


def read_list(archive: Path) -> dict[str, Digest]:
    """Return the digests of the parts by their names; none if there is no list.

    Raises:
        MalformedError: a line is not that of a part of the archive.
        LimitError, MediumError: the list is too large, or cannot be read.
    """
    path = format_list_path(archive)
    if not path.exists():
        return {}
    with RegularFile.open(path) as file:
        if file.size > _MAX_LIST:
            raise LimitError(f"{path}: more than the {_MAX_LIST:,} bytes allowed")
        lines = file.read().decode("utf-8", "replace").splitlines()
    found = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] != format_part_path(archive, number).name:
            name = format_part_path(archive, number).name
            raise MalformedError(f"{path}: line {number} is malformed (expected <digest>  {name})")
        found[match[2]] = Digest(f"sha256:{match[1]}")
    return found


def list_parts(archive: Path) -> dict[int, Path]:
    """Return the parts in the directory of ``archive``, by their numbers."""
    found = {}
    try:
        for path in archive.parent.iterdir():
            part = parse_part_path(path)
            if part is not None and part[0].name == archive.name:
                found[part[1]] = path
    except OSError:
        return {}
    return dict(sorted(found.items()))
