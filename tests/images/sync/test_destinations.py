"""Each image of a sync has a place at the destination, and none leads out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler import transports
from bundler.copy.target_names import NameMapping
from bundler.errors import ConflictError, DirectoryExistsError, InvalidReferenceError, UsageError
from bundler.images.sync.destinations import Naming, distinct, place, refuse_existing
from bundler.images.sync.sources import SyncImage

DIGEST = "sha256:" + "a" * 64


def sought(path: str) -> SyncImage:
    return SyncImage(transports.parse("dir:in"), None, f"docker://{path}", path)


@pytest.mark.parametrize(
    ("path", "naming", "shown"),
    [
        ("quay.io/a/app:1", Naming("dir", "/out"), "dir:/out/app:1"),
        ("quay.io/a/app:1", Naming("dir", "/out/", scoped=True), "dir:/out/quay.io/a/app:1"),
        (f"quay.io/a/app@{DIGEST}", Naming("dir", "out"), f"dir:out/app@{DIGEST}"),
        ("quay.io/a/app:1", Naming("dir", "out", suffix="-x"), "dir:out/app:1-x"),
        ("quay.io/a/app:1", Naming("docker", "r.example"), "docker://r.example/app:1"),
        ("quay.io/a/app:1", Naming("docker", "r:5000/b/"), "docker://r:5000/b/app:1"),
        ("tree/app", Naming("docker", "r:5000", scoped=True), "docker://r:5000/tree/app:latest"),
        (
            "quay.io/a/app:1",
            Naming("docker", "r:5000", scoped=True, suffix="-m"),
            "docker://r:5000/quay.io/a/app:1-m",
        ),
        ("quay.io/a/app:1", Naming("oci", "lay"), "oci:lay:app:1"),
        (
            "quay.io/a/app:1",
            Naming("oci-archive", "f", scoped=True),
            "oci-archive:f:quay.io/a/app:1",
        ),
        (
            "quay.io/a/app:1",
            Naming("dir", "out", names=NameMapping((("quay.io/a", "b"),))),
            "dir:out/b/app:1",
        ),
        (
            "quay.io/c/app:1",
            Naming("dir", "out", names=NameMapping((("quay.io/a", "b"),))),
            "dir:out/app:1",
        ),
    ],
)
def test_a_place_is_made_of_the_name(path, naming, shown):
    assert place(sought(path), naming).shown == shown


@pytest.mark.parametrize(
    "path", ["a/../b:1", "..", "a//b", "/etc/x", ".", "a/./b", "a/" + "b" * 256]
)
def test_no_place_leads_out_of_the_directory(path):
    with pytest.raises(InvalidReferenceError):
        place(sought(path), Naming("dir", "out", scoped=True))


@given(st.text(max_size=40))
def test_any_name_stays_below_the_directory_or_is_refused(path):
    try:
        shown = place(sought(path), Naming("dir", "/out", scoped=True)).shown
    except InvalidReferenceError:
        return
    assert shown.startswith("dir:/out/")
    assert not {"", ".", ".."} & set(shown.removeprefix("dir:/out/").split("/"))


def test_a_name_that_a_registry_cannot_hold_is_refused():
    with pytest.raises(InvalidReferenceError, match="in lower case"):
        place(sought("Tree/App:1"), Naming("docker", "r:5000", scoped=True))
    with pytest.raises(InvalidReferenceError):
        place(sought(f"quay.io/app@{DIGEST}"), Naming("docker", "r:5000", suffix="-x"))


def test_a_layout_is_named_without_an_image():
    with pytest.raises(UsageError, match="names one image"):
        place(sought("quay.io/a:1"), Naming("oci", "lay:name"))


def test_two_images_with_one_name_are_a_conflict_unless_the_last_wins():
    naming = Naming("docker", "r:5000")
    both = [place(sought(path), naming) for path in ("quay.io/a/app:1", "quay.io/b/app:1")]
    with pytest.raises(ConflictError, match=r"would both become docker://r:5000/app:1"):
        distinct(both)
    assert distinct(both, last_wins=True) == both[1:]
    assert distinct([both[0], both[0]]) == both[:1]


def test_a_directory_that_is_there_is_refused_where_that_is_asked(tmp_path):
    (tmp_path / "app:1").mkdir()
    placed = [place(sought("quay.io/a/app:1"), Naming("dir", str(tmp_path)))]
    with pytest.raises(DirectoryExistsError) as raised:
        refuse_existing(placed)
    assert raised.value.path == str(tmp_path / "app:1")
