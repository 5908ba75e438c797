"""References of images below a location with several images."""

from __future__ import annotations

import pytest

from bundler.errors import InvalidReferenceError, UnsupportedError, UsageError
from bundler.transports.target_reference import create_target

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("transport", "location", "name", "reference", "scope"),
    [
        ("dir", "/out", "app:1", "dir:/out/app:1", "dir:/out/app:1"),
        ("dir", "out", f"app@{DIGEST}", f"dir:out/app@{DIGEST}", f"dir:out/app@{DIGEST}"),
        ("docker", "r.example", "app:1", "docker://r.example/app:1", "docker://r.example/app"),
        ("docker", "r:5000/b/", "app:1", "docker://r:5000/b/app:1", "docker://r:5000/b/app"),
        (
            "docker",
            "r:5000",
            "tree/app",
            "docker://r:5000/tree/app:latest",
            "docker://r:5000/tree/app",
        ),
        ("atomic", "r:5000/a", "app:1", "atomic:r:5000/a/app:1", "atomic:r:5000/a/app"),
        ("oci", "lay", "app:1", "oci:lay:app:1", "oci:lay"),
        ("oci-archive", "f", "a/app:1", "oci-archive:f:a/app:1", "oci-archive:f"),
        (
            "containers-storage",
            "[/s]quay.io/x",
            "app:1",
            "containers-storage:[/s]quay.io/x/app:1",
            "containers-storage:[/s]",
        ),
    ],
)
def test_reference_and_scope(transport, location, name, reference, scope):
    target = create_target(transport, location, name)
    assert (str(target.reference), target.scope) == (reference, scope)


def test_images_of_an_archive_are_committed_together():
    assert create_target("oci-archive", "f", "app:1").commits_once
    assert not create_target("oci", "lay", "app:1").commits_once


@pytest.mark.parametrize(
    "name", ["a/../b:1", "..", "a//b", "/etc/x", ".", "a/./b", "a/" + "b" * 256, "a\0b"]
)
def test_name_that_escapes_the_directory_is_refused(name):
    with pytest.raises(InvalidReferenceError):
        create_target("dir", "out", name)


@pytest.mark.parametrize("name", ["Tree/App:1", f"app@{DIGEST}-x"])
def test_name_that_a_registry_cannot_store_is_refused(name):
    with pytest.raises(InvalidReferenceError):
        create_target("docker", "r:5000", name)


def test_name_with_spaces_is_refused_in_a_layout():
    with pytest.raises(InvalidReferenceError):
        create_target("oci", "lay", "a b")


def test_location_must_not_name_an_image():
    with pytest.raises(UsageError):
        create_target("oci", "lay:name", "app:1")


def test_transport_with_single_images_is_refused():
    with pytest.raises(UnsupportedError):
        create_target("docker-daemon", "", "app:1")
