"""Targets of a sync: the mapping of names, duplicates, and existing directories."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler import transports
from bundler.copy.target_names import NameMapping
from bundler.errors import ConflictError, DirectoryExistsError, InvalidReferenceError
from bundler.events import WarningIssued
from bundler.images.sync.targets import (
    SyncDestination,
    check_not_existing,
    map_targets,
    merge_duplicates,
)
from bundler.transports.source_images import SourceImage

FULL = NameMapping(default="full")


def map_target(name, destination):
    image = SourceImage(transports.parse("dir:in"), None, f"docker://{name}", name)
    (target,) = map_targets([image], destination)
    return target


@pytest.mark.parametrize(
    ("destination", "target"),
    [
        (SyncDestination("dir", "/out"), "dir:/out/app:1"),
        (SyncDestination("dir", "/out/", FULL), "dir:/out/quay.io/a/app:1"),
        (SyncDestination("docker", "r.example"), "docker://r.example/app:1"),
        (
            SyncDestination("docker", "r:5000", NameMapping(default="full", suffix="-m")),
            "docker://r:5000/quay.io/a/app:1-m",
        ),
        (SyncDestination("oci-archive", "f", FULL), "oci-archive:f:quay.io/a/app:1"),
        (
            SyncDestination("dir", "out", NameMapping((("quay.io/a", "b"),), "basename")),
            "dir:out/b/app:1",
        ),
    ],
)
def test_target_is_created_from_the_mapped_name(destination, target):
    assert str(map_target("quay.io/a/app:1", destination)) == target


@given(st.text(max_size=40))
def test_directories_stay_below_the_destination(name):
    try:
        target = str(map_target(name, SyncDestination("dir", "/out", FULL)))
    except InvalidReferenceError:
        return
    assert target.startswith("dir:/out/")
    assert not {"", ".", ".."} & set(target.removeprefix("dir:/out/").split("/"))


def test_invalid_target_name_is_reported_with_its_source():
    with pytest.raises(InvalidReferenceError) as raised:
        map_target("Tree/App:1", SyncDestination("docker", "r:5000", FULL))
    assert raised.value.message.startswith("docker://Tree/App:1: ")


@pytest.mark.parametrize("transport", ["docker", "dir"])
def test_two_images_with_one_target_are_a_conflict(transport):
    destination = SyncDestination(transport, "r:5000")
    both = [map_target(name, destination) for name in ("quay.io/a/app:1", "quay.io/b/app:1")]
    with pytest.raises(ConflictError) as raised:
        merge_duplicates(both)
    assert raised.value.subjects == (str(both[0]),)


def test_last_of_two_images_in_a_registry_wins_with_a_warning():
    destination = SyncDestination("docker", "r:5000")
    both = [map_target(name, destination) for name in ("quay.io/a/app:1", "quay.io/b/app:1")]
    reported = []
    assert merge_duplicates(both, reported.append, last_wins=True) == both[1:]
    assert [type(event) for event in reported] == [WarningIssued]


def test_second_image_with_one_directory_is_refused_even_if_the_last_wins():
    destination = SyncDestination("dir", "/out")
    both = [map_target(name, destination) for name in ("quay.io/a/app:1", "quay.io/b/app:1")]
    with pytest.raises(DirectoryExistsError) as raised:
        merge_duplicates(both, last_wins=True)
    assert raised.value.path == "/out/app:1"


def test_directory_within_that_of_another_image_is_a_conflict():
    rules = NameMapping((("quay.io/a/app:1", "x"), ("quay.io/b/app:1", "x/manifest.json")), "full")
    destination = SyncDestination("dir", "/out/", rules)
    both = [map_target(name, destination) for name in ("quay.io/a/app:1", "quay.io/b/app:1")]
    for order in (both, both[::-1]):
        with pytest.raises(ConflictError) as raised:
            merge_duplicates(order)
        assert raised.value.subjects == ("dir:/out/x", "dir:/out/x/manifest.json")


def test_image_that_is_listed_twice_is_copied_once():
    target = map_target("quay.io/a/app:1", SyncDestination("docker", "r:5000"))
    assert merge_duplicates([target, target]) == [target]


def test_existing_directory_is_refused(tmp_path):
    (tmp_path / "app:1").mkdir()
    targets = [map_target("quay.io/a/app:1", SyncDestination("dir", str(tmp_path)))]
    with pytest.raises(DirectoryExistsError) as raised:
        check_not_existing(targets)
    assert raised.value.path == str(tmp_path / "app:1")
