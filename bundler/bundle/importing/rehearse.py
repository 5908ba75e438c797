"""Rehearse an import without its target: everything that an import checks, and that needs none.

The bundle is authenticated, compared with the records, and checked by the policy; all manifests are
verified, all blobs must be present with their sizes, and the target names must not collide. The
contents of blobs are not read: ``verifying.verify`` does that.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.importing.import_bundle import import_bundle
from bundler.bundle.importing.target import NO_TARGET, DirectoryTarget, RegistryTarget

if TYPE_CHECKING:
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.engine import EngineOptions


def rehearse(request: ImportRequest, engine: EngineOptions) -> ImportReport:
    """Run an import as a dry run into a directory that does not exist, in place of its target.

    The target names are those at the target of ``request``, which is not accessed.

    Raises:
        BundlerError: as ``import_bundle`` for the same request.
    """
    target = request.target
    form = target.format if isinstance(target, DirectoryTarget) else "oci"
    with tempfile.TemporaryDirectory(prefix="airbundle-") as folder:
        directory = Path(folder) / "target"
        stand_in = DirectoryTarget(
            f"{form}:{directory}",
            form,
            directory,
            target.prefix,
            stands_for_registry=target == NO_TARGET or isinstance(target, RegistryTarget),
        )
        rehearsed = replace(request, target=stand_in, dry_run=True, asks_target=False)
        report = import_bundle(rehearsed, engine)
    front = "" if target == NO_TARGET else f"{target}:"
    if isinstance(target, RegistryTarget):
        front = f"{target.host}/"
    images = [
        replace(result, name=front + result.name.removeprefix(f"{stand_in}:"))
        for result in report.images
    ]
    return replace(report, target=str(target), images=tuple(images))
