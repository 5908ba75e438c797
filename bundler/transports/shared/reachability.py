"""Find the content that is reachable from roots, by walking the manifests of a destination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.oci import manifest
from bundler.oci.manifest import Visit, walk
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.ports import ReadableDestination


@dataclass(slots=True)
class Reachable:
    """The manifests and blobs that are reachable from some roots, in the order of the walk."""

    manifests: dict[Digest, Descriptor] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self.manifests or digest in self.blobs


def find_reachable(roots: Iterable[Descriptor], destination: ReadableDestination) -> Reachable:
    """Find the manifests and blobs that are reachable from ``roots``, including the roots.

    The result includes manifests that ``destination`` does not contain, but not their children.

    Raises:
        LimitError, MalformedError, UnsupportedError: a manifest cannot be parsed.
    """

    def list_children(visit: Visit) -> Sequence[tuple[Descriptor, Kind]]:
        found = visit.descriptor
        try:
            with destination.open(Node.of(found, "manifest")) as file:
                raw = file.read(manifest.MAX_MANIFEST + 1)
        except NotFoundError:
            return ()
        parsed = manifest.parse(raw, found.media_type, subject=f"manifest {found.digest}")
        return manifest.list_children(parsed)

    found = Reachable()
    for visit in walk(roots, list_children):
        same_kind = found.manifests if visit.kind == "manifest" else found.blobs
        same_kind.setdefault(visit.descriptor.digest, visit.descriptor)
    return found
