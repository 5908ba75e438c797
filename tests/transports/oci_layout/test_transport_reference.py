"""References of oci: layouts."""

from __future__ import annotations

import pytest

from bundler import transports
from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.ports import OpenOptions
from bundler.transports.oci_layout.transport import LayoutReference


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("oci:dir", "dir", None),
        ("oci:/a/b:tag", "/a/b", "tag"),
        ("oci:d:docker.io/library/x:1@sha256:ab", "d", "docker.io/library/x:1@sha256:ab"),
        ("oci:d:@0", "d", "@0"),
    ],
)
def test_path_ends_at_the_first_colon(text, path, name):
    reference = transports.parse(text)
    assert reference == LayoutReference("oci", path, name)
    assert transports.parse(str(reference)) == reference


@pytest.mark.parametrize(
    "text", ["oci:", "oci::x", "oci:d:@x", "oci:d:a b", "oci:d:a\nb", "oci:d:@"]
)
def test_invalid_reference_is_refused(text):
    with pytest.raises(InvalidReferenceError):
        transports.parse(text)


def test_index_in_a_destination_is_refused(tmp_path):
    with pytest.raises(UnsupportedError):
        transports.open_destination(
            LayoutReference("oci", str(tmp_path), "@0"), OpenOptions(load_settings=None)
        )
