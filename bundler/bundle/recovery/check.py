"""Check the recovery data of a bundle, file by file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.recovery import seal_copies
from bundler.bundle.recovery.content import find_paths
from bundler.bundle.recovery.tables import RecoveryTables
from bundler.copy import parallel
from bundler.errors import BundlerError, CancelledError, IntegrityError, count
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.cancel import Cancellation


def check_recovery(
    bundle: BundleFiles,
    contents: Inventory,
    listed: Mapping[str, Digest | None],
    threads: int | None,
    cancellation: Cancellation,
) -> dict[str, BundlerError]:
    """Check the recovery data that an inventory names; return the errors of its files by path.

    ``contents`` is the inventory, ``listed`` what SHA256SUMS lists, and ``threads``
    is the number of files that are read in parallel; None: one per core.

    Raises:
        CancelledError: ``cancellation`` was requested.
    """
    record = contents.recovery
    if record is None:
        return {}
    errors: dict[str, BundlerError] = {}
    for name, table in (("files", record.files), ("digests", record.digests)):
        for path in record.find_copies(name):
            try:
                raw = bundle.read(path, table.size)
                table.digest.verify(raw, path)
            except BundlerError as error:
                errors[path] = error.without_traceback()
    for path in record.find_copies("seal"):
        try:
            _check_copy(bundle, path)
        except BundlerError as error:
            errors[path] = error.without_traceback()
    try:
        tables = RecoveryTables(bundle, record, find_paths(listed))
    except BundlerError as error:
        errors.setdefault(record.find_copies("files")[0], error.without_traceback())
        return errors
    with ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as executor:
        tasks = [
            partial(_check_slices, bundle, tables, position, cancellation)
            for position in range(record.recovery_slices)
        ]
        found = parallel.run_all(executor, tasks, cancellation)
    paths = zip(record.slice_paths, found, strict=True)
    return errors | {path: error for path, error in paths if error is not None}


def _check_slices(
    bundle: BundleFiles, tables: RecoveryTables, position: int, cancellation: Cancellation
) -> BundlerError | None:
    """Check a file of recovery slices; return the error, if it has one."""
    geometry, path = tables.geometry, tables.record.slice_paths[position]
    expected_size = geometry.rows * geometry.slice_size
    damaged = 0
    try:
        with bundle.open(path) as file:
            if file.size != expected_size:
                return IntegrityError(
                    f"{path}: wrong size (expected {expected_size:,} bytes, got {file.size:,})"
                )
            for row in range(geometry.rows):
                cancellation.check()
                digest = tables.get_digest(row, geometry.data_slices + position)
                if Digest.of(file.read(geometry.slice_size)).hex != digest.hex():
                    damaged += 1
    except CancelledError:
        raise
    except BundlerError as error:
        return error.without_traceback()
    if damaged:
        return IntegrityError(f"{path}: {count(damaged, 'damaged slice')} of {geometry.rows:,}")
    return None


def _check_copy(bundle: BundleFiles, path: str) -> None:
    """Check that the files in a copy of the seal are those of the bundle.

    Raises:
        IntegrityError, LimitError, NotFoundError, MediumError: the copy, or a file, is damaged.
    """
    copy = seal_copies.read(bundle, path)
    for name, data in copy.items():
        if bundle_paths.is_path(name) and bundle.read(name, len(data)) != data:
            raise IntegrityError(f"{path}: its copy of {name} differs from that file")
    if missing := {bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE} - copy.keys():
        raise IntegrityError(f"{path}: contains no copy of {', '.join(sorted(missing))}")
