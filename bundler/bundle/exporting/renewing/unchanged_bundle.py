"""Verify a bundle that an export leaves as it is, and add missing signatures to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.bundle.exporting import read_back
from bundler.bundle.exporting.report import ExportReport
from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.format.files import checksums
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.format.signatures import bundle_signatures
from bundler.bundle.media import filesystem
from bundler.events import Notice

if TYPE_CHECKING:
    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.ports import Holdings

_RENEWAL_PART = 3  # after this part of its validity, an unchanged bundle gets a new expiry


def verify(
    request: ExportRequest,
    former: AuthenticatedBundle,
    images: tuple[BundledImage, ...],
    plan: Plan[Holdings],
    engine: EngineOptions,
    *,
    directory: Directory,
) -> ExportReport | None:
    """Return a report if the former bundle is up to date and verifies; otherwise None.

    ``directory`` is that of the bundle. Signatures by the requested keys are added if one of these
    keys signed the former bundle. An inventory without such a signature may have been changed on
    the medium, and is never signed.
    """
    bundle, listed = request.bundle, former.inventory
    resolved = [planned.image for planned in plan.images]
    lifetime = None if listed.expires is None else listed.expires - listed.created
    if (
        listed.images != images
        or listed.complete == any(image.missing_layers for image in resolved)
        or listed.relayed != request.relayed
        or listed.program != request.program_directory
        or listed.expires != request.find_expiry(listed.created)
        or (listed.recovery.percent if listed.recovery else 0) != request.recovery
    ):
        return None
    presupposed = {digest for planned in plan.images for digest in planned.presupposed}
    if presupposed or listed.presupposed_file is not None:
        from bundler.bundle.format.inventory import presupposed as presupposing  # noqa: PLC0415 - rare

        raw = presupposing.render(presupposing.select(resolved, request.held).values())
        if (presupposing.describe(raw) if presupposed else None) != listed.presupposed_file:
            return None
    if (
        request.expires
        and lifetime is not None
        and datetime.now(UTC) - listed.created > lifetime / _RENEWAL_PART
    ):
        engine.emit(Notice(f"{bundle}: unchanged, but sealed again, so that it expires later"))
        return None
    if request.keys and not former.signers:
        engine.emit(Notice(f"{bundle} is not signed by a given key: it is sealed again"))
        return None
    medium = filesystem.inspect(bundle)
    uncached = request.reads_back(medium)
    verified = read_back.verify_written(bundle, medium, engine, uncached=uncached)
    if not verified.whole or verified.inventory != listed:
        engine.emit(Notice(f"{bundle}: damaged; the damaged files are written again"))
        return None
    with DirectoryFiles(bundle) as files:
        present, paths = files.scan().entries, checksums.read(files).keys()
    needed = sealing.find_listed_paths(request.format, images, resolved, present, presupposed)
    if paths != needed | request.program.keys():
        engine.emit(Notice(f"{bundle}: lists files that no image needs; they are removed"))
        return None
    recovery = listed.recovery.paths if listed.recovery else []
    sealing.prune(directory, present, {*paths, *recovery})
    missing_keys = [key for key in request.keys if key.public not in former.signers]
    if request.trust_chain:
        from bundler.bundle.format import trust_chain  # noqa: PLC0415 - only with a trust file

        trust_chain.write_chain(bundle, request.trust_chain)
    added = bundle_signatures.write_signatures(bundle, former.raw, missing_keys)
    with DirectoryFiles(bundle) as files:
        signatures = files.list_signatures()
    return ExportReport(
        bundle=bundle,
        inventory=listed,
        signatures=tuple(signatures),
        changed=bool(added),
        plan=plan,
        totals=plan.totals,
        missing={},
        medium=filesystem.inspect(bundle),
        read_back=read_back.record(bundle, verified) if uncached else None,
    )
