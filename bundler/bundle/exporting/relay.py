"""Relay a bundle: verify it, and write its images to a new bundle that is signed by other keys.

The new bundle belongs to a stream of its own, with serials of its own: a bundle of the stream of
the original with another ``bundle.json`` would be taken for a forgery where both arrive. Its
inventory names the original, and those through which the original came. It never expires later.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.exporting import export as exporting
from bundler.bundle.exporting.renewing.former_bundle import read_former
from bundler.bundle.format import bundle_source, trust_chain
from bundler.bundle.format.authenticate import open_bundle
from bundler.bundle.format.inventory import presupposed as presupposing
from bundler.bundle.format.inventory.inventory import RelayedBundle, is_stream_name
from bundler.bundle.format.inventory.parse_inventory import MAX_RELAYS
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.importing.selected_images import check_present, resolve_images, select_images
from bundler.errors import LimitError, RollbackError, UnsupportedError, UsageError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.exporting.report import ExportReport
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage, Format
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.format.reading.open_files import BundleLocation
    from bundler.copy.engine import EngineOptions
    from bundler.gocompat.regexp import GoExpression
    from bundler.trust.bundle_trust import BundleTrust

SUFFIX = "-relay"
"""The end of the default name of the stream."""


@dataclass(frozen=True, slots=True)
class RelayRequest:
    """The bundle to read, and the one to write."""

    bundle: BundleLocation
    trust: BundleTrust
    export: ExportRequest
    """The new bundle; its stream is empty for the default."""
    signature_files: tuple[Path, ...] = ()
    """Signatures of the bundle that are stored elsewhere."""
    only: tuple[GoExpression, ...] = ()
    """Relay images whose full name contains a match of one of these patterns; empty: all."""


def relay(request: RelayRequest, engine: EngineOptions) -> ExportReport:
    """Verify a bundle while its images are copied to a new one.

    Raises:
        InvalidSignatureError, UnauthenticatedError, ExpiredError: the bundle is not trusted.
        DamagedBundleError, IntegrityError: its content is missing or damaged; nothing is sealed.
        NotFoundError: no image matches.
        UsageError: both are the same directory, or the name of the stream is not valid.
        UnsupportedError: the bundle presupposes blobs of its target.
        RollbackError: the destination contains a later bundle of the same stream.
        BundlerError: as ``export``.
    """
    destination = request.export.bundle
    sources = (request.bundle,) if isinstance(request.bundle, Path) else request.bundle
    existing = [path for path in sources if path.exists()] if destination.exists() else []
    if any(map(destination.samefile, existing)):
        raise UsageError(
            f"{destination}: both the bundle to read and the one to write",
            hint="specify another destination, or add a signature with airbundle sign",
        )
    with open_files(request.bundle) as files:
        found = open_bundle(files, request.trust, signature_files=request.signature_files)
        export = _create_export(request, found, files)
        content = _select_content(request.only, found, files, export.format, engine)
        if export.has_volumes:
            from bundler.bundle.exporting.export_volumes import export_volumes  # noqa: PLC0415 - on request

            return export_volumes(export, content, engine)
        former = read_former(export)
        if former is not None:
            _check_order(former, export.relayed[-1], files.location)
        with ExitStack() as stack:
            return exporting.write_bundle(export, content, former, engine, stack, missing={})


def _create_export(
    request: RelayRequest, found: AuthenticatedBundle, files: BundleFiles
) -> ExportRequest:
    """Return the request for the new bundle, with all that follows from the original."""
    inventory, export = found.inventory, request.export
    if inventory.presupposed_file is not None:
        raise UnsupportedError(
            f"{files.location}: lacks layers that its target has, so it cannot be relayed",
            hint="import it into a layout that has them, and export from there",
        )
    if len(inventory.relayed) >= MAX_RELAYS:
        raise LimitError(f"{files.location}: relayed too often (expected at most {MAX_RELAYS})")
    default = inventory.stream
    if not default.endswith(SUFFIX):
        default += SUFFIX
    stream = export.stream or default
    if not is_stream_name(stream):
        raise UsageError(
            f"--stream: {stream[:140]!r} is not a valid name of a stream",
            hint="use at most 127 letters, digits, '.', '_' and '-'",
        )
    signers = tuple(sorted(key.id for key in found.signers))
    original = RelayedBundle(inventory.stream, inventory.serial, Digest.of(found.raw), signers)
    return replace(
        export,
        stream=stream,
        not_after=inventory.expires,
        relayed=(*inventory.relayed, original),
        held=presupposing.read(files, inventory),
        trust_chain=export.trust_chain or trust_chain.read_chain(files, 1),
    )


def _select_content(
    only: Sequence[GoExpression],
    found: AuthenticatedBundle,
    files: BundleFiles,
    bundle_format: Format,
    engine: EngineOptions,
) -> ResolvedContent:
    """Read the manifests of the selected images, and check that their blobs are present."""
    source = bundle_source.BundleSource(files, found.inventory)
    selected = select_images(found.inventory, only)
    images = resolve_images(selected, source, None, engine)
    presupposed = presupposing.read(files, found.inventory)
    check_present(selected, images, source, "nothing was relayed", presupposed=presupposed.keys())
    entries: list[BundledImage] = selected
    signature_files: dict[str, bytes] = {}
    if any(image.signatures for image in selected):
        from bundler.bundle.format.signatures.image_signatures import SignatureFiles  # noqa: PLC0415 - if there are any

        numbered = SignatureFiles(bundle_format)
        entries = [
            numbered.add(replace(image, signatures=()), source.signature_files.of_image(image))
            for image in selected
        ]
        signature_files = numbered.content
    complete = found.inventory.complete
    return exporting.ResolvedContent(images, entries, signature_files, has_all_images=complete)


def _check_order(former: AuthenticatedBundle, original: RelayedBundle, bundle: str) -> None:
    """Check that the former bundle was not relayed from a later one of the same stream."""
    last = former.inventory.relayed[-1:]
    for item in last:
        if item.stream == original.stream and item.serial > original.serial:
            raise RollbackError(
                f"{bundle}: older than the bundle that was relayed before (expected serial"
                f" {item.serial} or later of {item.stream}, got {original.serial})",
                stream=item.stream,
                serial=original.serial,
                recorded=item.serial,
                hint="relay the newer bundle, or specify another destination",
            )
