"""The content of a bundle on several volumes, and the files that announce and seal them.

Manifests, configs and all content of referrers are on every volume; each layer is on one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bundler.bundle.exporting.sealing.seal import create_inventory
from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.inventory import presupposed as presupposing
from bundler.bundle.format.inventory.parse_inventory import parse_inventory
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.plan.sealed_plan import (
    PlannedContent,
    PlannedVolume,
    SealedPlan,
)
from bundler.bundle.format.writing import instructions
from bundler.errors import NoSpaceError, UnsupportedError, count
from bundler.oci import image_layout
from bundler.oci.digest import Digest
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from bundler.bundle.exporting.export import ExportRequest, ResolvedContent
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.copy.image import ResolvedImage


@dataclass(frozen=True, slots=True)
class VolumeContent:
    """The manifests and blobs of a bundle; all have sha256 digests."""

    shared: tuple[Node, ...]
    """Those that are on every volume."""
    layers: tuple[Node, ...]
    """Those that are on one volume, in the order of the images."""
    presupposed: Mapping[Digest, HeldBlob] = field(default_factory=dict, hash=False)
    """The layers that are on no volume, because the target has them."""

    @classmethod
    def of(
        cls, images: Iterable[ResolvedImage], presupposed: Mapping[Digest, HeldBlob]
    ) -> VolumeContent:
        """Return the content of ``images`` without the ``presupposed`` layers.

        Raises:
            UnsupportedError: the digest of a blob is no sha256, or its size is unknown.
        """
        shared: dict[Digest, Node] = {}
        layers: dict[Digest, Node] = {}
        for image in images:
            absent = {*presupposed, *(node.digest for node in image.absent_layers)}
            for graph in image.graphs:
                nodes = [Node.of(item.descriptor, "manifest") for item in graph.manifests]
                for node in (*nodes, *graph.blobs):
                    if node.digest is None or node.size is None or node.digest in absent:
                        continue
                    if node.digest.algorithm != "sha256":
                        raise UnsupportedError(
                            f"{image.display_name}: {node.digest} cannot be planned for volumes"
                            " (expected a sha256)",
                            hint="export to one directory",
                        )
                    is_layer = node.kind == "layer" and graph is image.graph
                    (layers if is_layer else shared).setdefault(node.digest, node)
        return cls(
            tuple(shared.values()),
            tuple(node for digest, node in layers.items() if digest not in shared),
            presupposed,
        )

    def assign(self, rooms: Sequence[int], label: str, further: int | None) -> dict[Digest, int]:
        """Assign each layer to the first volume with room; return the numbers of the volumes.

        ``rooms`` are the bytes on each volume for layers, and ``further`` those on each volume that
        is added if these do not suffice; None: none is added. ``label`` is used in messages.

        Raises:
            NoSpaceError: the volumes have not enough room, or a layer has no room on any of them.
        """
        free = list(rooms)
        largest_room = max(*rooms, further or 0)
        assigned: dict[Digest, int] = {}
        for node in self.layers:
            size = node.size or 0
            if size > largest_room:
                raise NoSpaceError(
                    f"{label}: layer {node.digest}",
                    needed=size,
                    free=max(0, largest_room),
                    hint="a layer is never divided among volumes: use larger media, or export an"
                    " archive with --split",
                )
            position = next((i for i, room in enumerate(free) if room >= size), None)
            if position is None:
                if further is None or size > further:
                    raise self._create_space_error(rooms, label)
                free.append(further)
                position = len(free) - 1
            free[position] -= size
            if node.digest is not None:
                assigned[node.digest] = position + 1
        return assigned

    def _create_space_error(self, rooms: Sequence[int], label: str) -> NoSpaceError:
        """Return the error that states how many volumes like the largest one would suffice."""
        total = max(self.assign(rooms, label, max(rooms)).values())
        missing = total - len(rooms)
        return NoSpaceError(
            label,
            needed=sum(node.size or 0 for node in self.layers),
            free=sum(max(0, room) for room in rooms),
            hint=f"add --volume DIR for {count(missing, 'further volume')} like the largest one, or"
            " run the export on a terminal, which asks for them one after the other; each volume"
            " also stores the manifests, the configs and the seal of the bundle",
        )


@dataclass(frozen=True, slots=True)
class SealedVolumes:
    """The small files of all volumes of a bundle."""

    plan: SealedPlan
    inventory: Inventory
    announcement: Mapping[str, bytes]
    """The files that each volume has before its content, in the order of writing."""
    seals: tuple[Mapping[str, bytes], ...]
    """The files that complete each volume, in the order of writing."""
    paths: tuple[frozenset[str], ...]
    """The paths that the checksum file of each volume lists."""


def seal_volumes(
    request: ExportRequest,
    content: ResolvedContent,
    nodes: VolumeContent,
    assigned: Mapping[Digest, int],
    index: bytes,
    *,
    serial: int,
    created: datetime,
) -> SealedVolumes:
    """Compute and sign the plan, the checksum files and the inventory, before any content.

    ``index`` is the ``index.json`` of all images; ``assigned`` has the volume of each layer.

    Raises:
        LimitError: the bundle has more images or files than its readers accept.
        SignerError: a signer failed.
    """
    from bundler.bundle.format.signatures.bundle_signatures import sign  # noqa: PLC0415 - loads cryptography

    total = max(assigned.values(), default=1)
    entries = tuple(content.entries)
    small = {bundle_paths.INDEX: index} | _create_texts(
        request, entries, nodes.presupposed, total, complete=content.is_complete
    )
    marker = {bundle_paths.MARKER: image_layout.LAYOUT_FILE_CONTENT}
    needed = {item.find_path("oci", entry.digest) for entry in entries for item in entry.signatures}
    known = small | marker | {p: d for p, d in content.signature_files.items() if p in needed}
    sizes = {path: len(data) for path, data in known.items()}
    common = {path: Digest.of(data) for path, data in known.items()}
    for path, data in ((path, source.read_bytes()) for path, source in request.program.items()):
        sizes[path], common[path] = len(data), Digest.of(data)
    layers: list[dict[str, Digest]] = [{} for _ in range(total)]
    planned: list[PlannedContent] = []
    for node in (*nodes.shared, *nodes.layers):
        digest = node.digest
        if digest is None:
            continue
        path = bundle_paths.find_path("oci", digest, digest, manifest=False)
        sizes[path] = node.size or 0
        number = assigned.get(digest)
        (common if number is None else layers[number - 1])[path] = digest
        planned.append(PlannedContent(digest, node.size or 0, number or 1))
    sums = [common | own for own in layers]
    raw_sums = [checksums.render(listed) for listed in sums]
    contents, described = sealed_plan.render_contents(planned)
    plan = SealedPlan(
        stream=request.stream,
        serial=serial,
        created=created,
        images=entries,
        contents=described,
        expires=request.find_expiry(created),
        volumes=tuple(
            PlannedVolume(number, len(listed), sum(sizes[path] for path in listed), Digest.of(raw))
            for number, (listed, raw) in enumerate(zip(sums, raw_sums, strict=True), 1)
        ),
    )
    raw_plan, signatures = plan.sign(request.keys)
    whole = {path: digest for listed in sums for path, digest in listed.items()}
    raw_whole = checksums.render(whole)
    described = checksums.describe(raw_whole, len(whole))
    inventory = create_inventory(
        request, entries, described, serial, created, complete=content.is_complete
    )
    if nodes.presupposed:
        listed = presupposing.describe(small[bundle_paths.PRESUPPOSED])
        inventory = replace(inventory, presupposed_file=listed)
    raw = inventory.to_bytes()
    parse_inventory(raw)  # as for the plan
    signed = sign(raw, request.keys) if request.keys else {}
    announcement = {
        bundle_paths.CONTENTS: contents,
        **signed,
        bundle_paths.ANNOUNCED: raw,
        **signatures,
        bundle_paths.PLAN: raw_plan,
    }
    seals = [
        {**small, bundle_paths.format_volume_name(number): raw_sums[number - 1]}
        for number in range(1, total + 1)
    ]
    seals[-1] |= {bundle_paths.CHECKSUM_FILE: raw_whole, bundle_paths.INVENTORY: raw, **signed}
    return SealedVolumes(plan, inventory, announcement, tuple(seals), tuple(map(frozenset, sums)))


def _create_texts(
    request: ExportRequest,
    entries: tuple[BundledImage, ...],
    presupposed: Mapping[Digest, HeldBlob],
    total: int,
    *,
    complete: bool,
) -> dict[str, bytes]:
    """Return ``VERIFY.txt`` for ``total`` volumes, and the list of presupposed blobs, if any."""
    texts = {
        bundle_paths.INSTRUCTIONS: instructions.render(
            request.stream,
            "oci",
            entries,
            [key.public for key in request.keys],
            complete=complete,
            volumes=total,
            presupposed=len(presupposed),
            program=request.program_directory,
        )
    }
    if presupposed:
        texts[bundle_paths.PRESUPPOSED] = presupposing.render(presupposed.values())
    return texts
