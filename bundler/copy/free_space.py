"""Check before the first byte that the disks of a run can store its content."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import find_existing, measure_free_space
from bundler.copy.blob_transfer import find_stored_size
from bundler.errors import NoSpaceError
from bundler.ports import StoresOnDisk

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.copy.plan import Plan
    from bundler.ports import Destination, Holdings


def compute_needed_space(plan: Plan[Holdings], destination: Holdings) -> int:
    """Return the bytes that ``plan`` adds to ``destination``, as far as they are known.

    The beginning of a blob that an interrupted run has stored does not count, and neither does a
    layer that will be compressed.
    """
    pushed = [
        task
        for task in plan.blobs
        if task.destination is destination
        and task.action == "push"
        and (task.change is None or task.change.conversion.form != "compressed")
    ]
    manifests = (task for task in plan.manifests if task.destination is destination)
    return (
        sum(task.size for task in pushed)
        - find_stored_size((task.node for task in pushed), destination)
        + sum(len(task.manifest.raw) for task in manifests)
    )


def check_plan(plan: Plan[Destination], overhead: int = 0) -> None:
    """Check that the disk of each destination can store what ``plan`` adds, and ``overhead`` bytes.

    Raises:
        NoSpaceError: one of them is too small.
    """
    needed: dict[int, tuple[Path, int]] = {}
    for destination in dict.fromkeys(planned.destination for planned in plan.images):
        if isinstance(destination, StoresOnDisk):
            path = destination.storage_path
            device = os.stat(find_existing(path)).st_dev  # noqa: PTH116 - as below
            first, size = needed.get(device, (path, 0))
            needed[device] = first, size + compute_needed_space(plan, destination)
    for path, size in needed.values():
        _check(path, size + overhead)


def check_blob(size: int, destination: Destination) -> None:
    """Check that the disk of ``destination`` can store one more blob of ``size`` bytes.

    Raises:
        NoSpaceError: it is too small.
    """
    if isinstance(destination, StoresOnDisk):
        _check(destination.storage_path, size)


def _check(path: Path, needed: int) -> None:
    free = measure_free_space(path)
    if free is not None and needed > free:
        raise NoSpaceError(str(path), needed=needed, free=free)
