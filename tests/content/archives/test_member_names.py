"""Names of the members of layers."""

from __future__ import annotations

import pytest

from bundler.content.archives.member_names import parse_member_name
from bundler.errors import LimitError, MalformedError


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a/b", ("a", "b")), ("/a/./b/", ("a", "b")), ("a/../b", ("b",)), (".", ()), ("", ())],
)
def test_member_name_is_split(name, parts):
    assert parse_member_name(name, "test") == parts


@pytest.mark.parametrize("name", ["..", "a/../..", "/..", "a\0b"])
def test_member_name_that_escapes_the_root_is_refused(name):
    with pytest.raises(MalformedError):
        parse_member_name(name, "test")


def test_member_name_with_too_many_components_is_refused():
    assert len(parse_member_name("d/" * 2048, "test")) == 2048
    with pytest.raises(LimitError):
        parse_member_name("d/" * 2049, "test")
