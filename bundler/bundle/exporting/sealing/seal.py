"""Seal a bundle: write the small files that make the content of its directory a bundle.

All of these files are computed first, then they replace those of the former bundle in one step, see
``next_seal``. Files that the new bundle does not list are removed afterwards.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler import __version__
from bundler.bundle.format.files import bundle_files, bundle_paths, checksums
from bundler.bundle.format.inventory.inventory import Inventory, Producer
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.writing import instructions, next_seal, store
from bundler.content.files import part_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.inventory.inventory import BundledImage, ChecksumFile, Format
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.recovery.write import RecoveryWriter
    from bundler.content.files.safe_directory import Directory
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.oci.digest import Digest


def replace_seal(
    request: ExportRequest,
    directory: Directory,
    images: Sequence[tuple[BundledImage, ResolvedImage]],
    destination: store.WritableDirectory,
    signature_files: Mapping[str, bytes],
    *,
    serial: int,
    complete: bool,
    engine: EngineOptions,
) -> tuple[Inventory, tuple[str, ...]]:
    """Replace the seal of the former bundle in one step, and prune the directory.

    At any moment, the directory verifies as the former bundle or as the new one. It contains the
    content of ``images``, which was written to ``destination``; ``signature_files`` contains their
    signatures, by path.

    Returns:
        The inventory, and the names of the signature files.

    Raises:
        NotFoundError, IntegrityError: a file to list is missing, or is not a regular file.
        LimitError: the bundle has more images, files or omissions than its readers accept.
        NoSpaceError, MediumError: a file cannot be read or written.
    """
    bundle, listed = request.bundle, tuple(image for image, _ in images)
    keys = [key.public for key in request.keys]
    resolved = [image for _, image in images]
    files, presupposed_file = dict(store.get_index_files(destination)), None
    presupposed: Mapping[Digest, HeldBlob] = {}
    if request.held:
        from bundler.bundle.format.inventory import presupposed as presupposing  # noqa: PLC0415 - only with holdings files

        if presupposed := presupposing.select(resolved, request.held):
            raw = files[bundle_paths.PRESUPPOSED] = presupposing.render(presupposed.values())
            presupposed_file = presupposing.describe(raw)
    present = bundle_files.scan(bundle).entries
    paths = find_listed_paths(request.format, listed, resolved, present, presupposed)
    paths |= request.program.keys()
    in_parts = any(map(bundle_paths.parse_blob_part, paths))
    files[bundle_paths.INSTRUCTIONS] = instructions.render(
        request.stream,
        request.format,
        listed,
        keys,
        complete=complete,
        presupposed=len(presupposed),
        in_parts=in_parts,
        program=request.program_directory,
    )
    signed = {path: data for path, data in signature_files.items() if path in paths}
    small = files | signed
    files[bundle_paths.CHECKSUM_FILE], checksum_file = checksums.create(
        directory, sorted(paths - small.keys()), small, known=store.get_part_digests(destination)
    )
    contents = replace(
        create_inventory(
            request,
            listed,
            checksum_file,
            serial,
            datetime.now(UTC).replace(microsecond=0),
            complete=complete,
        ),
        presupposed_file=presupposed_file,
    )
    with ExitStack() as stack:
        recovery: RecoveryWriter | None = None
        if request.recovery:
            from bundler.bundle.recovery import write  # noqa: PLC0415 - on request

            recovery = stack.enter_context(write.RecoveryWriter(directory, serial))
            sizes = {path: present[path].size for path in sorted(paths - small.keys())}
            contents = recovery.protect(contents, sizes, files | signed, request.recovery, engine)
        raw = contents.to_bytes()
        parse_inventory(raw)  # an inventory beyond the limits of its readers must not be sealed
        signatures: dict[str, bytes] = {}
        if keys:
            from bundler.bundle.format.signatures.bundle_signatures import sign  # noqa: PLC0415 - only for signed bundles

            signatures = sign(raw, request.keys)
        if recovery is not None:
            recovery.write_seal_copies(
                {bundle_paths.INVENTORY: raw, **signatures}, request.trust_chain
            )
    if request.trust_chain:
        from bundler.bundle.format import trust_chain  # noqa: PLC0415 - only with a trust file

        trust_chain.write_chain(bundle, request.trust_chain)
    changed: Mapping[str, bytes] = {}
    if signed:
        from bundler.bundle.format.signatures import image_signatures  # noqa: PLC0415 - if there are any

        changed = image_signatures.find_changed(directory, signed)
    next_seal.replace(directory, {**changed, **files, bundle_paths.INVENTORY: raw, **signatures})
    if contents.recovery is not None:
        paths.update(contents.recovery.paths)
    prune(directory, present, paths, keep_parts=not complete)
    return contents, tuple(filter(bundle_paths.parse_signature_name, signatures))


def create_inventory(
    request: ExportRequest,
    images: tuple[BundledImage, ...],
    checksum_file: ChecksumFile,
    serial: int,
    created: datetime,
    *,
    complete: bool,
) -> Inventory:
    """Create the inventory of a bundle that is ``created`` at a time in whole seconds."""
    return Inventory(
        format=request.format,
        stream=request.stream,
        serial=serial,
        created=created,
        tool=Producer("airbundle", __version__),
        checksum_file=checksum_file,
        images=images,
        expires=request.find_expiry(created),
        complete=complete,
        relayed=request.relayed,
        program=request.program_directory,
    )


def find_listed_paths(
    bundle_format: Format,
    listed: Iterable[BundledImage],
    images: Iterable[ResolvedImage],
    present: Collection[str],
    presupposed: Collection[Digest] = (),
) -> set[str]:
    """Return the paths that SHA256SUMS lists for ``images``, whose entries are ``listed``.

    Of the ``present`` paths, only those that an image needs and that are not ``presupposed`` are
    listed. All others below the directories of the content are surplus, and are never signed.
    """
    graphs = [graph for image in images for graph in image.graphs]
    paths = {path for graph in graphs for path in store.list_paths(graph, bundle_format)}
    paths = {path for path in paths if bundle_paths.parse_digest(path) not in presupposed}
    parts = bundle_paths.group_blob_parts(present)
    in_parts = {path for path in paths & parts.keys() if path not in present}
    paths.intersection_update(present)
    paths.update(*(parts[path] for path in in_parts))
    if presupposed:
        paths.add(bundle_paths.PRESUPPOSED)
    paths |= {
        item.find_path(bundle_format, image.digest) for image in listed for item in image.signatures
    }
    paths.add(bundle_paths.INSTRUCTIONS)
    if bundle_format == "oci":
        paths |= {bundle_paths.MARKER, bundle_paths.INDEX}
    return paths


def prune(
    bundle: Directory, present: Iterable[str], listed: Collection[str], *, keep_parts: bool = False
) -> None:
    """Durably remove the ``present`` files of kinds that are listed, but are not in ``listed``.

    That includes recovery data of other bundles.
    With ``keep_parts``, the parts of blobs that the next export continues are kept.

    Raises:
        MediumError: a file cannot be removed.
    """
    unlisted = [
        path
        for path in present
        if path not in listed
        and (bundle_paths.is_listed(path) or bundle_paths.is_recovery(path))
        and not (keep_parts and part_files.is_kept(path.rpartition("/")[2]))
    ]
    bundle_files.remove_files(bundle, unlisted)
