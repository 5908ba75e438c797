"""Packages of the layers of an image together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies

from bundler.bundle.audit.layers.file_tree import FileTree
from bundler.bundle.audit.layers.scan import LayerListing, Member
from bundler.bundle.audit.packages.path_changes import PathChanges
from bundler.oci.digest import Digest
from tests.fakes import tars

ONE, TWO = b"P:one\nV:1\n", b"P:two\nV:2\n"
APK = "lib/apk/db/installed"
METADATA = b"Name: a\nVersion: 1\n"
SITE = "usr/lib/python3/a-1.dist-info"


def list_names(found):
    return [package.name for package in found.packages]


def test_database_of_an_upper_layer_replaces_that_of_a_lower_one(read_layers):
    upper = tars.layer(tars.member(APK, TWO))
    found = read_layers(tars.layer(tars.member(APK, ONE)), upper)
    assert list_names(found) == ["two"]
    assert found.packages[0].layer.text == upper.blob.digest


def test_removed_package_is_not_found(read_layers):
    lower = tars.layer(tars.member(APK, ONE), tars.member(f"{SITE}/METADATA", METADATA))
    assert list_names(read_layers(lower, tars.layer(tars.member("lib/.wh.apk")))) == ["a"]


def test_finding_about_a_removed_file_is_not_reported(read_layers):
    lower = tars.layer(tars.member(APK, b"garbage"))
    assert read_layers(lower).findings
    assert not read_layers(lower, tars.layer(tars.member("lib/apk/db/.wh.installed"))).findings


def test_last_member_of_a_layer_at_a_path_counts(read_layers):
    layer = tars.layer(tars.member(APK, ONE), tars.member(APK, TWO))
    assert list_names(read_layers(layer)) == ["two"]


def test_hard_link_keeps_what_its_removed_target_states(read_layers):
    lower = tars.layer(
        tars.member(f"cache/{SITE}/METADATA", METADATA),
        tars.hard_link(f"{SITE}/METADATA", f"cache/{SITE}/METADATA"),
    )
    found = read_layers(lower, tars.layer(tars.member(".wh.cache")))
    assert [package.path for package in found.packages] == [f"{SITE}/METADATA"]


@pytest.mark.parametrize("removed", [0, 1])
def test_content_is_found_under_the_name_of_any_hard_link(read_layers, removed):
    """An upper layer removes one of the names."""
    paths = [f"{place}/{SITE}/METADATA" for place in ("one", "two")]
    links = [tars.hard_link(path, "store/5f/c0ffee") for path in paths]
    directory, _, name = paths[removed].rpartition("/")
    found = read_layers(
        tars.layer(tars.member("store/5f/c0ffee", METADATA), *links),
        tars.layer(tars.member(f"{directory}/.wh.{name}")),
    )
    assert [package.path for package in found.packages] == [paths[1 - removed]]


def test_content_is_found_under_the_name_of_a_hard_link(read_layers):
    layer = tars.layer(
        tars.member("store/5f/c0ffee", METADATA),
        tars.hard_link(f"{SITE}/METADATA", "store/5f/c0ffee"),
    )
    assert [package.path for package in read_layers(layer).packages] == [f"{SITE}/METADATA"]


NAMES = strategies.sampled_from(["a", "b", "a/b", "a/c", "a/b/c", "a/b/c/d", "c/a"])
KINDS = strategies.sampled_from(["file", "directory", "symbolic link", "whiteout", "opaque"])
LAYERS = strategies.lists(strategies.dictionaries(NAMES, KINDS, max_size=4), min_size=2, max_size=4)


@settings(max_examples=100)
@given(LAYERS)
def test_changes_hide_what_the_file_tree_does_not_contain(layers):
    """A file of any layer is hidden if and only if it is not in the tree of all layers."""
    tree, listings = FileTree(), []
    for number, layer in enumerate(layers):
        members = [
            create_member(path, kind, position)
            for position, (path, kind) in enumerate(sorted(layer.items()))
            if not any(
                f"{path}/".startswith(f"{above}/") and kind != "directory" and above != path
                for above, kind in layer.items()
            )
        ]
        digest = Digest(f"sha256:{number:064x}")
        listings.append(LayerListing(digest, digest, tuple(members)))
        tree.add(listings[-1])
    changes = []
    for listing in listings:
        changes.append(PathChanges("layer"))
        for member in listing.members:
            changes[-1].add(member)
        changes[-1].finish()
    visible = {(file.layer, file.path) for file in tree if file.member.kind == "file"}
    for number, listing in enumerate(listings):
        for member in listing.members:
            if member.kind == "file" and ".wh." not in member.path:
                hidden = any(item.hides(member.path) for item in changes[number + 1 :])
                assert hidden == ((listing.digest, member.path) not in visible)


def create_member(path, kind, position):
    directory, _, name = path.rpartition("/")
    if kind == "whiteout":
        path, kind = f"{directory}/.wh.{name}".lstrip("/"), "file"
    elif kind == "opaque":
        path, kind = f"{path}/.wh..wh..opq", "file"
    return Member(path, kind, 0o644, 0, 0, 0, 0, "x" if kind == "symbolic link" else "", position)
