"""Read ``bundle.json`` without verifying its signatures, which ``authenticate`` does."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.files.bundle_paths import parse_volume_name
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY, parse_inventory
from bundler.errors import (
    DamagedBundleError,
    InvalidReferenceError,
    NotFoundError,
    VolumesOwedError,
)

if TYPE_CHECKING:
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.errors import BundlerError

_MAX_SEARCHED = 1_000  # entries of a directory in which bundles are looked for
_MAX_NAMED = 3


def read_inventory(bundle: BundleFiles) -> tuple[bytes, Inventory]:
    """Read and parse ``bundle.json``; it is **not** authenticated.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: it is not a valid inventory.
    """
    raw = read_raw_inventory(bundle)
    return raw, parse_inventory(raw)


def read_raw_inventory(bundle: BundleFiles) -> bytes:
    """Read the bytes of ``bundle.json``.

    Raises:
        NotFoundError: the directory does not exist, or contains no finished bundle.
        DamagedBundleError: it contains one without ``bundle.json``.
        MalformedError, LimitError, MediumError: it cannot be read.
    """
    try:
        return bundle.read(bundle_paths.INVENTORY, MAX_INVENTORY)
    except NotFoundError:
        if bundle.get_size(bundle_paths.CHECKSUM_FILE) is not None:
            raise DamagedBundleError(
                f"{bundle.location}: the bundle is damaged",
                [f"{bundle_paths.INVENTORY}: missing"],
                hint="copy the bundle again, or run the export again, which repairs it",
            ) from None
        if bundle.get_size(bundle_paths.PLAN) is not None:
            raise _create_owed_error(bundle) from None
        raise create_unfinished_error(bundle.location) from None


def _create_owed_error(bundle: BundleFiles) -> BundlerError:
    """Return the error for volumes without the last one, as their plan says."""
    from bundler.bundle.format.plan.sealed_plan import parse_sealed_plan  # noqa: PLC0415 - rare

    plan = parse_sealed_plan(bundle.read(bundle_paths.PLAN, MAX_INVENTORY))
    present = {number for name in bundle.list_names("") if (number := parse_volume_name(name))}
    owed = [volume.number for volume in plan.volumes if volume.number not in present]
    if not owed:
        return create_unfinished_error(bundle.location)
    return VolumesOwedError(f"bundle {plan.stream} {plan.serial}", owed, len(plan.volumes))


def create_unfinished_error(location: str) -> BundlerError:
    """Return the error for a location without a finished bundle."""
    path = Path(location)
    if path.is_file():
        archive = f"for an archive of images, write oci-archive:{path} or docker-archive:{path}"
        return InvalidReferenceError(
            f"{path}: a file, and not a bundle",
            hint=f"specify {path.parent}" if path.name == bundle_paths.INVENTORY else archive,
        )
    if not path.is_dir():
        return NotFoundError(f"{path}: no such directory")
    if (path / bundle_paths.MARKER).exists():
        return NotFoundError(
            f"{path}: contains no complete bundle: {bundle_paths.INVENTORY} is missing",
            hint=f"for an image layout, write oci:{path}; to complete a bundle, run the"
            " interrupted export or copy again",
        )
    if below := _find_bundles_below(path):
        named = ", ".join(map(str, below[:_MAX_NAMED])) + (", …" if below[_MAX_NAMED:] else "")
        return NotFoundError(
            f"{path}: not a bundle (below it: {named})", hint=f"specify {below[0]}"
        )
    return NotFoundError(
        f"{location}: contains no complete bundle: {bundle_paths.INVENTORY} is missing",
        hint="specify the directory of a bundle, or run the interrupted export or copy again",
    )


def _find_bundles_below(directory: Path) -> list[Path]:
    """Find the bundles directly in ``directory``, among a limited number of its entries."""
    try:
        with os.scandir(directory) as entries:
            paths = [directory / entry.name for entry in islice(entries, _MAX_SEARCHED)]
    except OSError:
        return []
    return sorted(
        path
        for path in paths
        if (path / bundle_paths.INVENTORY).is_file() or bundle_paths.is_archive_file_name(path.name)
    )
