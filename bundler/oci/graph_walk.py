"""Walk the graph of manifests, configs and layers below some roots."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind


class Visit(NamedTuple):
    """One occurrence of a manifest, config or layer in the graph."""

    descriptor: Descriptor
    kind: Kind
    depth: int
    """0 for a root."""


def walk(
    roots: Iterable[Descriptor],
    list_children: Callable[[Visit], Sequence[tuple[Descriptor, Kind]]],
) -> Iterator[Visit]:
    """Walk depth first, parents before children, in the order in which manifests list them.

    Content listed by several manifests is visited once for each of them, but ``list_children`` is
    called only once for each manifest digest, so the work is proportional to the size of the
    manifests.

    Args:
        roots: the manifests and indexes where the walk begins.
        list_children: returns the children of a manifest, as ``manifest.list_children`` does, or
            an empty sequence if the walk must not descend into it; an exception ends the walk.
    """
    pending = [Visit(root, "manifest", 0) for root in roots][::-1]
    followed: set[Digest] = set()
    while pending:
        visit = pending.pop()
        yield visit
        if visit.kind == "manifest" and visit.descriptor.digest not in followed:
            followed.add(visit.descriptor.digest)
            children = list_children(visit)
            pending += [Visit(child, kind, visit.depth + 1) for child, kind in reversed(children)]
