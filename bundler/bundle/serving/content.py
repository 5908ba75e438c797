"""The content of a read-only registry: repositories with tags, manifests, blobs and referrers.

It is complete before the first request and does not change afterwards, so threads share it without
a lock. Every name and digest in a request is looked up here; none of them becomes a path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.oci import manifest

if TYPE_CHECKING:
    from bundler.bundle.format.bundle_source import BundleSource
    from bundler.copy.image import ResolvedImage
    from bundler.copy.target_names import TargetName
    from bundler.oci.digest import Digest
    from bundler.ports import Node


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest or an index, verified and kept in memory."""

    media_type: str
    digest: Digest
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob in a bundle, whose size was compared with its descriptor."""

    node: Node
    size: int
    source: BundleSource


@dataclass(slots=True)
class ServedRepository:
    """A repository; the keys are tags and digests, as requests contain them."""

    tags: dict[str, StoredManifest] = field(default_factory=dict)
    manifests: dict[str, StoredManifest] = field(default_factory=dict)
    blobs: dict[str, StoredBlob] = field(default_factory=dict)
    referrers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """The descriptors of the referrers, as JSON, by subject and by their own digest."""

    def find_manifest(self, reference: str) -> StoredManifest | None:
        """Return the manifest with the tag or digest ``reference``; None if there is none."""
        return self.manifests.get(reference) or self.tags.get(reference)

    def add(self, image: ResolvedImage, source: BundleSource) -> None:
        """Add the manifests of an image and its referrers, and their blobs that ``source`` has.

        A manifest with a subject is listed as a referrer of it.
        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
        """
        for graph in image.graphs:
            for item in graph.manifests:
                found = item.descriptor
                key = found.digest.text
                if key in self.manifests:
                    continue
                self.manifests[key] = StoredManifest(found.media_type, found.digest, item.raw)
                parsed = manifest.parse(item.raw, found.media_type)
                if isinstance(parsed, manifest.Schema1) or parsed.subject is None:
                    continue
                described: dict[str, Any] = {
                    "mediaType": found.media_type,
                    "digest": key,
                    "size": len(item.raw),
                }
                if artifact_type := manifest.get_artifact_type(parsed):
                    described["artifactType"] = artifact_type
                if parsed.annotations:
                    described["annotations"] = dict(parsed.annotations)
                self.referrers.setdefault(parsed.subject.digest.text, {})[key] = described
            for node in graph.blobs:
                if node.digest is not None and node.size is not None and source.has(node):
                    self.blobs.setdefault(node.digest.text, StoredBlob(node, node.size, source))


@dataclass(frozen=True, slots=True)
class ServedImage:
    """One image for the listing: its name here, and where it comes from."""

    name: TargetName
    reference: str
    """The full name in the inventory."""
    bundle: str
    digest: Digest
    size: int
    """The total size of its blobs in bytes."""
    platforms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the image as JSON."""
        return {
            "name": str(self.name),
            "reference": self.reference,
            "bundle": self.bundle,
            "digest": self.digest.text,
            "size": self.size,
            "platforms": list(self.platforms),
        }


@dataclass(slots=True)
class ServedContent:
    """All repositories by name, and the images in the order of the bundles."""

    repositories: dict[str, ServedRepository] = field(default_factory=dict)
    images: list[ServedImage] = field(default_factory=list)
