"""The small files of a bundle in an archive: the sealed plan at its front, the seal at its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.exporting.sealing.seal import create_inventory, find_listed_paths
from bundler.bundle.format.archive.layout import ArchiveLayout
from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.plan.sealed_plan import PlannedContent, SealedPlan
from bundler.bundle.format.writing import instructions
from bundler.oci import image_layout
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bundler.bundle.exporting.export import ExportRequest
    from bundler.bundle.format.archive.destination import ArchiveContent
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.copy.image import GraphManifest, ResolvedImage
    from bundler.ports import Node


def create_layout(
    request: ExportRequest,
    images: Sequence[tuple[BundledImage, ResolvedImage]],
    *,
    signature_files: Mapping[str, bytes],
    presupposed: Collection[HeldBlob],
    serial: int,
    created: datetime,
) -> ArchiveLayout:
    """Create and sign the plan of an archive with ``images``, and place all of its content.

    Blobs that are ``presupposed`` have no place.

    Raises:
        LimitError: the bundle has more images or files than its readers accept.
        SignerError: a signer failed.
        UnsupportedError: the size of a blob is unknown.
    """
    manifests: dict[Digest, GraphManifest] = {}
    blobs: dict[Digest, Node] = {}
    for _, image in images:
        absent = {node.digest for node in image.absent_layers}
        absent |= {blob.digest for blob in presupposed}
        for graph in image.graphs:
            manifests |= {item.descriptor.digest: item for item in graph.manifests}
            for node in graph.blobs:
                if node.digest is not None and node.digest not in absent:
                    blobs.setdefault(node.digest, node)
    for digest in manifests.keys() & blobs.keys():
        del blobs[digest]
    nodes = sorted(blobs.values(), key=lambda node: node.kind == "layer")
    planned = [PlannedContent(digest, len(item.raw)) for digest, item in manifests.items()]
    planned += [PlannedContent(node.digest, node.size or 0) for node in nodes if node.digest]
    contents, described = sealed_plan.render_contents(planned)
    plan = SealedPlan(
        stream=request.stream,
        serial=serial,
        created=created,
        images=tuple(entry for entry, _ in images),
        contents=described,
        expires=request.find_expiry(created),
    )
    raw, signatures = plan.sign(request.keys)
    front = {bundle_paths.PLAN: raw, **signatures, bundle_paths.CONTENTS: contents}
    if request.trust_chain:
        from bundler.bundle.format import trust_chain  # noqa: PLC0415 - only with a trust file

        for name, data in trust_chain.list_files(request.trust_chain):
            front[f"{bundle_paths.TRUST}/{name}"] = data
    if presupposed:
        from bundler.bundle.format.inventory import presupposed as presupposing  # noqa: PLC0415 - only with holdings files

        front[bundle_paths.PRESUPPOSED] = presupposing.render(presupposed)
    needed = {
        item.find_path("oci", entry.digest) for entry, _ in images for item in entry.signatures
    }
    front |= {path: data for path, data in signature_files.items() if path in needed}
    for digest, item in manifests.items():
        front[bundle_paths.find_path("oci", digest, digest, manifest=True)] = item.raw
    return ArchiveLayout.create(front, nodes)


def create_seal(
    request: ExportRequest,
    destination: ArchiveContent,
    images: Sequence[tuple[BundledImage, ResolvedImage]],
    *,
    presupposed: Mapping[Digest, HeldBlob],
    serial: int,
    created: datetime,
    complete: bool,
) -> tuple[Inventory, dict[str, bytes]]:
    """Create and sign the inventory; return it, and the files at the end of the archive.

    ``destination`` contains the content of ``images``, which are committed, without the
    ``presupposed`` blobs.

    Raises:
        LimitError: the bundle has more images, files or omissions than its readers accept.
        SignerError: a signer failed.
    """
    listed = tuple(entry for entry, _ in images)
    keys = [key.public for key in request.keys]
    files = {
        bundle_paths.INSTRUCTIONS: instructions.render(
            request.stream,
            "oci",
            listed,
            keys,
            complete=complete,
            presupposed=len(presupposed),
            archive=True,
        ),
        **destination.index,
        bundle_paths.MARKER: image_layout.LAYOUT_FILE_CONTENT,
    }
    sums = destination.sums | {path: Digest.of(data) for path, data in files.items()}
    paths = find_listed_paths("oci", listed, [image for _, image in images], sums, presupposed)
    sums = {path: sums[path] for path in (*paths, *filter(bundle_paths.is_plan, sums))}
    raw_sums = checksums.render(sums)
    described = checksums.describe(raw_sums, len(sums))
    inventory = create_inventory(request, listed, described, serial, created, complete=complete)
    if presupposed:
        from bundler.bundle.format.inventory import presupposed as presupposing  # noqa: PLC0415 - only with holdings files

        described_file = presupposing.describe(presupposing.render(presupposed.values()))
        inventory = replace(inventory, presupposed_file=described_file)
    raw = inventory.to_bytes()
    parse_inventory(raw)  # as for the plan
    signatures: dict[str, bytes] = {}
    if keys:
        from bundler.bundle.format.signatures.bundle_signatures import sign  # noqa: PLC0415 - only for signed bundles

        signatures = sign(raw, request.keys)
    return inventory, {
        bundle_paths.CHECKSUM_FILE: raw_sums,
        **files,
        bundle_paths.INVENTORY: raw,
        **signatures,
    }
