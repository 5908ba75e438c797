"""Names and links in a tree of dir: images."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler.errors import ConflictError, MalformedError
from bundler.ports import Publication
from bundler.transports.directory import tree_index
from bundler.transports.directory.tree import DirectoryTreeDestination, DirectoryTreeSource
from tests.contracts import contents
from tests.transports.handwritten import write_tree


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "images/../../x", "images//x", "", "con", "images/aux.txt", "a:b", "x.", ".git"],
)
def test_unsafe_or_unportable_name_is_refused(tmp_path, shared_store, name):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, shared_store)
        with pytest.raises(MalformedError):
            destination.commit([Publication(shared_store.names["a"], (name,))])
    with closing(DirectoryTreeSource(tmp_path / "t")) as source, pytest.raises(MalformedError):
        source.resolve(name)


def test_names_that_differ_only_by_case_conflict(tmp_path, shared_store):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, shared_store)
        with pytest.raises(ConflictError):
            destination.commit(
                [
                    Publication(shared_store.names["a"], ("images/X",)),
                    Publication(shared_store.names["b"], ("images/x",)),
                ]
            )


def test_link_to_an_image_is_not_followed(tmp_path, shared_store):
    write_tree(tmp_path / "elsewhere", shared_store)
    (tmp_path / "t").mkdir()
    (tmp_path / "t/images").symlink_to(tmp_path / "elsewhere/images")
    with closing(DirectoryTreeSource(tmp_path / "t")) as source:
        assert source.tags() == []
        with pytest.raises(MalformedError):
            source.resolve(f"images/{shared_store.names['a'].digest.hex}")


@pytest.mark.parametrize(
    ("paths", "present"),
    [
        (["x/v", "x/v/manifest.json"], []),
        (["x/v/1", "x/v"], []),
        (["X/v", "x/V/1"], []),
        (["x/v/1"], ["x/v"]),
        (["x"], ["x/v/1"]),
    ],
)
def test_directory_within_that_of_another_image_is_a_conflict(paths, present):
    with pytest.raises(ConflictError):
        tree_index.check_image_paths(
            *([tuple(path.split("/")) for path in group] for group in (paths, present))
        )


def test_present_images_do_not_conflict_with_each_other():
    tree_index.check_image_paths([("a", "1"), ("a", "2")], [("x",), ("x", "v"), ("a", "1")])
