"""What a set of roots needs, found by walking the manifests that a place holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.oci import manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest


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
        parsed = manifest.parse(raw, item.media_type, what=f"manifest {item.digest}")
        for child, kind in reversed(manifest.children(parsed)):
            if kind == "manifest":
                pending.append(child)
            else:
                found.blobs[child.digest] = child
    return found
