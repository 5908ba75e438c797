"""Merge the index of a bundle with the one at the target: ``--existing merge-platforms``.

The platforms of the bundle replace the same platforms of the index at the target; its others are
kept. The result is a new index. The index of the bundle is stored beside it, without a name,
because referrers may refer to it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.content.streams import VerifiedReader
from bundler.copy.image import GraphManifest
from bundler.errors import LimitError
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import Index
from bundler.ports import Node, ReadableDestination, ReadsBack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.image import ResolvedImage
    from bundler.copy.planned_image import PlannedImage
    from bundler.ports import Holdings, TagResolver

_REFERENCE = "vnd.docker.reference.digest"
"""The annotation of a manifest in an index that belongs to another one, such as an attestation."""


@dataclass(frozen=True, slots=True)
class MergedIndex:
    """The index that an import made."""

    digest: Digest
    kept: tuple[str, ...]
    """The platforms, or digests of manifests without one, that only the target had."""

    def to_json(self) -> dict[str, Any]:
        """Return the member ``merged`` of the receipt."""
        return {"digest": self.digest.text, "kept": list(self.kept)}


def merge(
    planned: PlannedImage[Holdings], name: str, target: TagResolver
) -> tuple[PlannedImage[Holdings], MergedIndex] | None:
    """Merge an image with the index that ``name`` points to at ``target``.

    Returns the image with the merged index as its root; None: one of both is not an index.

    Raises:
        IntegrityError, LimitError: the index at the target is damaged, or the result too large.
        NotFoundError, RegistryError: it cannot be read.
    """
    image = planned.image
    theirs = _read_index(planned.destination, name, target)
    if theirs is None or image.graph.root.media_type not in media_types.INDEXES:
        return None
    own = image.graph.manifests[-1]
    value = strict.load_object(own.raw, subject=image.display_name)
    entries = _list_stored(image, value["manifests"])
    kept = _find_kept(theirs, entries)
    value |= {"manifests": [*kept, *entries], "mediaType": image.graph.root.media_type}
    if image.graph.root.media_type != theirs.media_type:
        value["mediaType"] = media_types.OCI_INDEX
    value.pop("subject", None)
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if len(raw) > manifest.MAX_MANIFEST or len(value["manifests"]) > manifest.MAX_CHILDREN:
        raise LimitError(f"{image.display_name}: the merged index is too large")
    root = Descriptor(value["mediaType"], Digest.of(raw), len(raw))
    manifests = (*image.graph.manifests, GraphManifest(root, raw, own.depth))
    graph = replace(image.graph, root=root, manifests=manifests)
    return (
        replace(planned, image=replace(image, graph=graph)),
        MergedIndex(root.digest, tuple(map(_describe, kept))),
    )


def includes(image: ResolvedImage, name: str, holdings: Holdings, target: TagResolver) -> bool:
    """Return whether ``name`` points to an index with all stored manifests of an index.

    Raises:
        IntegrityError: the index at the target is damaged.
        NotFoundError, RegistryError: it cannot be read.
    """
    if image.graph.root.media_type not in media_types.INDEXES:
        return False
    theirs = _read_index(holdings, name, target)
    value = strict.load_object(image.graph.manifests[-1].raw, subject=image.display_name)
    own = {Digest(entry["digest"]) for entry in _list_stored(image, value["manifests"])}
    return theirs is not None and own <= {item.digest for item in theirs.manifests}


def _read_index(holdings: Holdings, name: str, target: TagResolver) -> Index | None:
    """Read the index that a name points to; None: it is not an index."""
    found = target.resolve(name)
    if found.media_type not in media_types.INDEXES:
        return None
    node, subject = Node.of(found, "manifest"), f"{name} at the target"
    if isinstance(holdings, ReadsBack):
        stream = holdings.read_back(node)
    elif isinstance(target, ReadableDestination):
        stream = target.open(node)
    else:
        return None
    with stream as reader:
        raw = VerifiedReader(reader, subject, digest=found.digest, size=found.size).read()
    parsed = manifest.parse(raw, found.media_type, subject=subject)
    return parsed if isinstance(parsed, Index) else None


def _list_stored(image: ResolvedImage, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of an index whose manifests are in the bundle."""
    stored = {item.descriptor.digest.text for item in image.graph.manifests}
    return [entry for entry in entries if entry["digest"] in stored]


def _find_kept(theirs: Index, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of the index at the target that those of the bundle do not replace."""
    listed = strict.load_object(theirs.raw)["manifests"]
    own = {entry["digest"] for entry in entries}
    platforms = {_get_platform(entry) for entry in entries} - {None}
    replaced = {
        entry["digest"]
        for entry in listed
        if entry["digest"] in own or _get_platform(entry) in platforms
    }
    return [
        entry
        for entry in listed
        if entry["digest"] not in replaced
        and (entry.get("annotations") or {}).get(_REFERENCE) not in replaced
    ]


def _get_platform(entry: dict[str, Any]) -> str | None:
    """Return the platform of an entry in a form that can be compared; None if it has none."""
    platform = entry.get("platform")
    if not platform or platform.get("os") == "unknown":
        return None
    return json.dumps(platform, sort_keys=True)


def _describe(entry: dict[str, Any]) -> str:
    if _get_platform(entry) is None:
        return str(entry["digest"])
    parts = (entry["platform"].get(name) for name in ("os", "architecture", "variant"))
    return "/".join(filter(None, parts))
