"""Names that are derived from paths, and indexes instead of names."""

from __future__ import annotations

import pytest

from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.transports.oci_layout.reference import LayoutReference
from bundler.transports.shared.path_reference import check_index, derive_name, refuse_index


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("dir/App_1.tar", "", ("app-1", "latest")),
        ("dir/App_1.tar", "@3", ("app-1", "latest")),
        ("dir/app", "v1", ("app", "v1")),
        ("..", "v1", ("image", "v1")),
        ("dir/app", "example.com/app:1", None),
    ],
)
def test_name_is_derived_from_the_path_unless_it_has_a_repository(path, name, expected):
    assert derive_name(path, name) == expected


@pytest.mark.parametrize("name", ["@", "@x", "@-1", "@1 ", "@²", "@123456789"])
def test_index_must_be_a_short_decimal_number(name):
    check_index("oci:app", "@12345678")
    with pytest.raises(InvalidReferenceError):
        check_index("oci:app", name)


def test_index_in_a_destination_is_refused():
    refuse_index(LayoutReference("oci", "app", "v1"))
    with pytest.raises(UnsupportedError):
        refuse_index(LayoutReference("oci", "app", "@0"))
