"""References with and without a storage, by name and by ID."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bundler import transports
from bundler.errors import BundlerError, InvalidReferenceError, UsageError
from bundler.transports.containers_storage import reference
from bundler.transports.containers_storage.reference import StorageLocation


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("[vfs@/r+/run]app", "[vfs@/r+/run]docker.io/library/app:latest"),
        ("[/r]h:5/app:1", "[/r]h:5/app:1"),
        (
            "[overlay@/r:overlay.mount_program=/x,a=b]app:1",
            "[overlay@/r:overlay.mount_program=/x,a=b]docker.io/library/app:1",
        ),
        ("app", "docker.io/library/app:latest"),
        ("cafe", "cafe"),
        ("@" + "a" * 64, "@" + "a" * 64),
        ("a" * 64, "@" + "a" * 64),
        ("app:1@abc", "docker.io/library/app:1@abc"),
        ("app@sha256:" + "b" * 64, "docker.io/library/app@sha256:" + "b" * 64),
    ],
)
def test_reference_is_written_in_full_and_parsed_again(text, full):
    parsed = transports.parse(f"containers-storage:{text}")
    assert str(parsed) == f"containers-storage:{full}"
    assert transports.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text", ["", "[vfs@/r]", "[]app", "[@/r]app", "[vfs@]app", "[r]app", "[/r+x]app", "[/r", "app@",
             "app@xy", "APP", "[vfs@/r]app@zz"],
)  # fmt: skip
def test_invalid_reference_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"containers-storage:{text}")


@given(st.text(st.sampled_from("[]@+:,/=.ab19\0 é")))
def test_any_text_is_parsed_or_refused(text):
    try:
        parsed = reference.parse(text)
    except BundlerError:
        return
    assert reference.parse(str(parsed).removeprefix("containers-storage:")) == parsed


def test_options_are_parsed_without_their_prefix():
    options = ("overlay.mount_program=/usr/bin/x", "storage.Overlay.mountopt= nodev ")
    location = StorageLocation("overlay", Path("/r"), None, options)
    assert location.parse_options() == {
        "overlay.mount_program": "/usr/bin/x",
        "overlay.mountopt": "nodev",
    }


def test_option_without_a_value_is_refused():
    with pytest.raises(UsageError):
        StorageLocation("overlay", Path("/r"), None, ("nodev",)).parse_options()
