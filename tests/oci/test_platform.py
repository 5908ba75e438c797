"""Platforms: text form, JSON form, and selection of an index entry."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from bundler.errors import MalformedError, UsageError
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform, choose
from tests import strategies


def offered(*texts):
    return [None if text is None else Platform.parse(text) for text in texts]


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64"])
def test_text_round_trips(text):
    assert str(Platform.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux//v7", "linux/am d64",
     "linux/amd64\n", "linux/" + "a" * 65, "linux/\u00e4"],
)  # fmt: skip
def test_parse_refuses_invalid_platforms(text):
    with pytest.raises(UsageError):
        Platform.parse(text)


@given(strategies.platforms)
def test_json_round_trips(platform):
    assert Platform.from_json(Table(platform.to_json(), "it")) == platform


@pytest.mark.parametrize(
    "value",
    [{"os": 1}, {"architecture": []}, {"os": "linux", "OS": "windows"}, {"os.features": "x"}],
)
def test_malformed_json_is_refused(value):
    with pytest.raises(MalformedError):
        Platform.from_json(Table(value, "it"))


@pytest.mark.parametrize(
    ("expected", "entries", "position"),
    [
        # the requested variant, then compatible variants from newest to oldest, then no variant
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm/v6", "linux/arm/v7"], 2),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], 1),
        ("linux/arm/v7", ["linux/arm", "linux/arm/v5"], 1),
        ("linux/arm/v7", ["linux/arm/v8", "linux/arm"], 1),
        ("linux/arm/v7", ["linux/arm/v8"], None),
        ("linux/arm64/v8", ["linux/arm64"], 0),
        # no requested variant: no variant first, then from newest to oldest
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7", "linux/arm"], 2),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("linux/arm64", ["linux/arm64/v8"], 0),
        ("linux/amd64", ["linux/amd64/v3"], None),
        # an unknown variant: the variant itself, then no variant
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v3"], 1),
        ("linux/amd64/v3", ["linux/amd64/v2", "linux/amd64"], 1),
        ("linux/arm64/v9", ["linux/arm64/v8"], None),
        # the first of equal entries; entries without a platform are never chosen
        ("linux/amd64", [None, "linux/amd64", "linux/amd64"], 1),
        ("linux/amd64", [None], None),
        ("linux/amd64", [], None),
        ("linux/amd64", ["windows/amd64", "linux/386"], None),
    ],
)
def test_choose_prefers_the_best_variant(expected, entries, position):
    assert choose(Platform.parse(expected), offered(*entries)) == position


def test_requested_windows_version_is_matched_exactly():
    entries = [Platform("windows", "amd64", os_version=version) for version in ("1", "2", None)]
    assert choose(Platform("windows", "amd64", os_version="2"), entries) == 1
    assert choose(Platform("windows", "amd64"), entries) == 0
    assert choose(Platform("windows", "amd64", os_version="3"), entries) is None


@given(strategies.platforms, st.lists(st.none() | strategies.platforms, max_size=8))
def test_choose_never_returns_another_system(expected, entries):
    position = choose(expected, entries)
    if position is None:
        assert expected not in entries
    else:
        found = entries[position]
        assert (found.os, found.architecture) == (expected.os, expected.architecture)
