"""Walk a graph of manifests."""

from __future__ import annotations

import pytest

from bundler.errors import NotFoundError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import walk


def descriptor(name: str) -> Descriptor:
    return Descriptor(media_types.OCI_MANIFEST, Digest.of(name.encode()), 1)


GRAPH = {
    "index": [("left", "manifest"), ("right", "manifest"), ("absent", "manifest")],
    "left": [("config", "config"), ("layer", "layer")],
    "right": [("config", "config"), ("other", "layer"), ("layer", "layer")],
    "absent": [],
}
NAMES = {descriptor(name).digest: name for name in [*GRAPH, "config", "layer", "other"]}


def visits(*roots, graph=GRAPH):
    followed = []

    def list_children(visit):
        name = NAMES[visit.descriptor.digest]
        followed.append(name)
        return [(descriptor(child), kind) for child, kind in graph[name]]

    found = [
        (NAMES[visit.descriptor.digest], visit.kind, visit.depth)
        for visit in walk(map(descriptor, roots), list_children)
    ]
    return found, followed


def test_parents_come_before_children_in_the_order_of_the_manifests():
    found, followed = visits("index")
    assert found == [
        ("index", "manifest", 0),
        ("left", "manifest", 1),
        ("config", "config", 2),
        ("layer", "layer", 2),
        ("right", "manifest", 1),
        ("config", "config", 2),
        ("other", "layer", 2),
        ("layer", "layer", 2),
        ("absent", "manifest", 1),
    ]
    assert followed == ["index", "left", "right", "absent"]


def test_manifest_shared_by_two_roots_is_visited_once():
    found, followed = visits("left", "index")
    assert found[0] == ("left", "manifest", 0)
    assert ("left", "manifest", 1) in found
    assert followed.count("left") == 1


def test_walk_ends_at_cycle():
    """No digest can refer to itself, but ``list_children`` need not verify digests."""
    graph = {"left": [("right", "manifest")], "right": [("left", "manifest")]}
    found, followed = visits("left", graph=graph)
    assert [name for name, _, _ in found] == ["left", "right", "left"]
    assert followed == ["left", "right"]


def test_only_manifests_are_followed():
    """A layer with the digest of a manifest is a layer."""
    found, followed = visits("index", graph=GRAPH | {"index": [("left", "layer")]})
    assert found == [("index", "manifest", 0), ("left", "layer", 1)]
    assert followed == ["index"]


def test_error_of_list_children_ends_the_walk():
    def fail(_):
        raise NotFoundError("absent")

    found = walk([descriptor("index")], fail)
    assert next(found).depth == 0
    with pytest.raises(NotFoundError):
        next(found)
