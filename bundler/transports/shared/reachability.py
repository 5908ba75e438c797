"""What a set of roots needs, found by walking the manifests that a place holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.oci import manifest
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import ReadableDestination


@dataclass(slots=True)
class Reachable:
    """The manifests and the blobs that some roots need, each once, roots first."""

    manifests: dict[Digest, Descriptor] = field(default_factory=dict)
    blobs: dict[Digest, Descriptor] = field(default_factory=dict)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self.manifests or digest in self.blobs


def reachable(roots: Iterable[Descriptor], read: Callable[[Descriptor], bytes | None]) -> Reachable:
    """Walk from ``roots``; ``read`` gives a manifest's bytes, None where it is not held.

    What is not held counts as needed, but nothing below it is found.

    Raises:
        LimitError, MalformedError, UnsupportedError: a manifest cannot be understood.
    """
    found = Reachable()
    pending = list(roots)[::-1]
    while pending:
        item = pending.pop()
        if item.digest in found.manifests:
            continue
        found.manifests[item.digest] = item
        raw = read(item)
        if raw is None:
            continue
        parsed = manifest.parse(raw, item.media_type, subject=f"manifest {item.digest}")
        for child, kind in reversed(manifest.children(parsed)):
            if kind == "manifest":
                pending.append(child)
            else:
                found.blobs[child.digest] = child
    return found


def read_manifest(place: ReadableDestination, item: Descriptor) -> bytes | None:
    """The bytes that ``place`` has for a manifest; None where it has none.

    No more are read than show that it is larger than a manifest may be.
    """
    try:
        with place.open(Node.of(item, "manifest")) as file:
            return file.read(manifest.MAX_MANIFEST + 1)
    except NotFoundError:
        return None
