"""Check the recovery data of a bundle, file by file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    from collections.abc import Collection, Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.cancel import Cancellation


def check_recovery(
    bundle: BundleFiles,
    contents: Inventory,
    listed: Mapping[str, Digest | None],
    threads: int | None,
    cancellation: Cancellation,
    *,
    verified: Collection[str] = (),
) -> dict[str, BundlerError]:
    """Check the recovery data that an inventory names; return the errors of files by path.

    ``contents`` is the inventory, ``listed`` what SHA256SUMS lists, and ``threads``
    is the number of files that are read in parallel; None: one per core. ``verified`` are the names
    of the signatures of the bundle that were verified.

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
    errors |= _check_seals(bundle, record.find_copies("seal"), verified)
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


def _check_seals(
    bundle: BundleFiles, paths: Sequence[str], verified: Collection[str]
) -> dict[str, BundlerError]:
    """Check that the files in the copies of the seal are those of the bundle.

    If all copies agree, and a file differs from them, the error is that of the file. ``verified``
    are the names of signatures that may differ, since a key may have signed again.
    """
    copies: dict[str, dict[str, bytes]] = {}
    errors: dict[str, BundlerError] = {}
    for path in paths:
        try:
            copies[path] = seal_copies.read(bundle, path)
            seal_copies.check_padding(bundle, path)
            for name in (bundle_paths.INVENTORY, bundle_paths.CHECKSUM_FILE):
                if name not in copies[path]:
                    errors[path] = IntegrityError(f"{path}: contains no copy of {name}")
        except BundlerError as error:
            errors[path] = error.without_traceback()
    names = {name for copy in copies.values() for name in copy if bundle_paths.is_path(name)}
    for name in names:
        copied = {copy[name] for copy in copies.values() if name in copy}
        found = _read(bundle, name, max(map(len, copied)))
        if found in copied:
            different = [path for path, copy in copies.items() if copy.get(name, found) != found]
        elif len(copied) == 1 and len(copies) > 1:
            different = [] if name in verified else [name]
        else:
            different = list(copies)
        for path in different:
            text = "its copies in the recovery data" if path == name else f"{name} beside it"
            errors.setdefault(path, IntegrityError(f"{path}: differs from {text}"))
    return errors


def _read(bundle: BundleFiles, path: str, limit: int) -> bytes | None:
    with suppress(BundlerError):
        return bundle.read(path, limit)
    return None
