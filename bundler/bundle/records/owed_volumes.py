"""The layers that imports of volumes have left open, for each stream and target.

Each import of some volumes writes a file, and the one that completes the bundle removes it. The
file is a request for the missing volumes with further members, so that a site can ask for them
without any volume at hand. It is not signed, and decides nothing: the target has the truth.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.bundle.format.plan.resend_request import MAX_REQUEST, ResendRequest
from bundler.bundle.format.plan.sealed_plan import parse_contents, parse_sealed_plan
from bundler.bundle.records import permissions
from bundler.content.files import atomic_write
from bundler.content.files.safe_directory import Directory
from bundler.errors import MissingFileError, NotFoundError
from bundler.oci.json import timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.format.plan.sealed_plan import PlannedContent, SealedPlan
    from bundler.bundle.format.reading.volume_files import VolumeFiles

FOLDER = "volumes"


@dataclass(frozen=True, slots=True)
class OwedVolumes:
    """The layers of a bundle that a target lacked at the end of an import."""

    target: str
    time: str
    """When the import ended, or began if it was interrupted; UTC."""
    plan: SealedPlan
    layers: tuple[PlannedContent, ...]
    """In the order of the plan."""
    request: ResendRequest
    """The request for their volumes."""


def write(
    records: Path, files: VolumeFiles, target: str, digests: Collection[str], now: datetime
) -> None:
    """Write which layers of the bundle of ``files`` the target lacks.

    Raises:
        LimitError: the plan is too large for a request.
        NoSpaceError, MediumError: the file cannot be written.
    """
    numbers = {item.volume for item in files.contents.values() if item.digest.text in digests}
    raw = ResendRequest.create(files, numbers).to_bytes(
        {"target": target, "time": timestamps.format_utc(now), "layers": sorted(digests)}
    )
    with Directory.open(records) as directory:
        permissions.create_directory(directory, FOLDER)
        with directory.enter(FOLDER) as folder:
            name, mode = _find_name(files.plan.stream, target), permissions.get_file_mode(directory)
            atomic_write.write_files(folder, {name: raw}, mode=mode)


def remove(records: Path, stream: str, target: str) -> None:
    """Remove the file of a stream and a target, if there is one: a bundle has come completely.

    Raises:
        MediumError: it cannot be removed.
    """
    name = _find_name(stream, target)
    try:
        with Directory.open(records) as directory, directory.enter(FOLDER) as folder:
            if name in folder.list_names():
                folder.remove(name)
    except (NotFoundError, MissingFileError):
        return


def read(records: Path, *, target: str | None = None) -> list[OwedVolumes]:
    """Return what imports have left open, of ``target`` or of all targets, sorted by stream.

    Raises:
        MalformedError, LimitError, IntegrityError, MediumError: a file cannot be read.
    """
    try:
        with Directory.open(records) as directory, directory.enter(FOLDER) as folder:
            names = [name for name in sorted(folder.list_names()) if name.endswith(".json")]
            found = [
                _parse(folder.read(name, limit=MAX_REQUEST), str(folder.path / name))
                for name in names
            ]
    except (NotFoundError, MissingFileError):
        return []
    return [item for item in found if target in (None, item.target)]


def _parse(raw: bytes, subject: str) -> OwedVolumes:
    table = Table.parse(raw, subject, limit=MAX_REQUEST)
    request = ResendRequest.parse(raw, subject)
    plan, digests = parse_sealed_plan(request.raw_plan), {*table.texts("layers")}
    contents = parse_contents(request.contents, plan.contents)
    layers = tuple(item for item in contents if item.digest.text in digests)
    numbers = tuple(sorted({item.volume for item in layers}))
    return OwedVolumes(
        table.text("target"), table.text("time"), plan, layers, replace(request, volumes=numbers)
    )


def _find_name(stream: str, target: str) -> str:
    return f"{stream}-{hashlib.sha256(target.encode()).hexdigest()[:16]}.json"
