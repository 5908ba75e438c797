"""Counts and lists in messages."""

from __future__ import annotations

import pytest

from bundler.errors import shortlist


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (list(map(str, range(2003))), "0, 1, 2 and 2,000 more"),
    ],
)
def test_shortlist_counts_the_items_that_it_leaves_out(items, text):
    assert shortlist(items) == text


def test_shortlist_takes_another_limit():
    assert shortlist(["a", "b"], 1) == "a and 1 more"
