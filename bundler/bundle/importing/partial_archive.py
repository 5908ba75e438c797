"""Push the content of an archive that is cut, or of which parts are missing, without names.

The target remembers what has come: a later import of the whole archive does not send it again.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, cast

from bundler.bundle.format.archive.archive_files import ArchiveFiles
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.plan.authenticate_plan import authenticate_plan, open_plan
from bundler.bundle.importing.comparing.compare_images import name_images
from bundler.bundle.importing.selected_images import resolve_images, select_images
from bundler.bundle.importing.target import DirectoryTarget, open_target
from bundler.bundle.verifying.verify_partial import find_incomplete
from bundler.copy.engine import execute
from bundler.copy.plan import create_plan
from bundler.errors import UsageError, count

if TYPE_CHECKING:
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.ports import Destination


def push_partial(request: ImportRequest, files: BundleFiles, engine: EngineOptions) -> NoReturn:
    """Push the blobs that are whole; nothing is published or recorded.

    The sealed plan is authenticated instead of the inventory.

    Raises:
        PartsOwedError: parts are missing; always after the blobs have been pushed.
        DamagedBundleError: the archive is cut; in the same way.
        UsageError: the target cannot store content without names.
        BundlerError: as ``import_bundle``.
    """
    assert isinstance(files, ArchiveFiles)  # noqa: S101 - others are not partial
    now = request.now or datetime.now(UTC)
    if isinstance(request.target, DirectoryTarget) and request.target.format == "dir":
        raise UsageError(
            f"{request.target}: a tree of dir: images cannot store a part of an archive",
            hint="copy the whole archive first, or specify another target",
        )
    plan, announced = open_plan(files, request.trust, now, allow_unsigned=request.allow_unsigned)
    if request.preview is not None:
        request.preview(announced)
    elif not request.allow_expired:
        authenticate_plan(files, request.trust, now)
    selected = select_images(announced.inventory, request.only)
    incomplete = find_incomplete(files, selected)
    unreadable = [name for name, has_manifests in incomplete.items() if not has_manifests]
    name = f"bundle {plan.stream} {plan.serial}"
    if unreadable:
        raise files.create_partial_error(
            f"{name}: manifests are missing; nothing was pushed", unreadable
        )
    source = BundleSource(files, announced.inventory)
    images = resolve_images(selected, source, request.policy.check, engine)
    if request.gate is not None:
        request.gate(announced, selected, images, engine)
    nodes = [node for image in images for node in image.graph.blobs]
    lacking = {node.digest for node in nodes if node.digest and not source.has(node)}
    with ExitStack() as stack:
        target = open_target(request.target, request.options, stack, writable=not request.dry_run)
        planned = [
            replace(item, image=replace(item.image, signatures={}))
            for *_, item in name_images(request, selected, images, target, lacking)
        ]
        created = create_plan(planned, engine.executor, engine.cancellation)
        blobs = cast("Plan[Destination]", replace(created, manifests=(), images=()))
        if not request.dry_run:
            execute(blobs, engine)
    verb = "to push" if request.dry_run else "pushed"
    raise files.create_partial_error(
        f"{name}: {count(blobs.count('push'), 'blob')} {verb}, and no name published",
        [f"incomplete: {image}" for image in incomplete],
    )
