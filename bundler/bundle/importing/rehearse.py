"""Rehearse an import without a target: everything that an import checks, and that needs none.

The bundle is authenticated, compared with the records, and checked by the policy; all manifests are
verified, all blobs must be present with their sizes, and the target names must not collide. The
contents of blobs are not read: ``verifying.verify`` does that.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.importing.import_bundle import ImportRequest, import_bundle
from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse
from bundler.bundle.importing.target import DirectoryTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.importing.report import ImportReport
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions
    from bundler.trust.bundle_trust import BundleTrust


def rehearse(
    bundle: Path,
    trust: BundleTrust,
    admit: Callable[[AuthenticatedBundle], None],
    options: OpenOptions,
    engine: EngineOptions,
    *,
    signature_files: tuple[Path, ...] = (),
    allow_unsigned: bool = False,
    policy: PolicyUse = NO_POLICY,
    now: datetime | None = None,
) -> ImportReport:
    """Run an import as a dry run into a directory that does not exist.

    Args:
        bundle: the directory.
        trust: the keys to trust.
        admit: checks the bundle against the records, and its expiry.
        options: options for opening the target.
        engine: the options of the copy engine.
        signature_files: signatures of the bundle that are stored elsewhere.
        allow_unsigned: accept a bundle that is not signed as ``trust`` requires.
        policy: decides on the images.
        now: the time to compare with; None: the current time.

    Raises:
        BundlerError: as ``import_bundle`` for the same bundle.
    """
    with tempfile.TemporaryDirectory(prefix="airbundle-") as folder:
        directory = Path(folder) / "target"
        request = ImportRequest(
            bundle=bundle,
            target=DirectoryTarget(f"oci:{directory}", "oci", directory),
            options=options,
            trust=trust,
            signature_files=signature_files,
            allow_unsigned=allow_unsigned,
            admit=admit,
            policy=policy,
            now=now,
            dry_run=True,
        )
        report = import_bundle(request, engine)
    return replace(report, target="none")
