"""Regular expressions in Go's syntax, with linear-time matching."""

from __future__ import annotations

import time

import pytest

from bundler.errors import UsageError
from bundler.gocompat.regexp import MAX_LENGTH, GoExpression


def test_unanchored_expression_matches_anywhere():
    assert GoExpression.parse("13").search("1.13.1-alpine")
    assert not GoExpression.parse("^13").search("1.13.1-alpine")
    assert GoExpression.parse(r"^1\.13\.[12]-alpine-perl$").search("1.13.2-alpine-perl")


@pytest.mark.parametrize(
    ("text", "tag"), [(r"^[[:alpha:]]+\z", "edge"), (r"\Q1.2\E", "v1.2.3"), ("(?i)RC", "1.0-rc1")]
)
def test_go_specific_syntax_is_supported(text, tag):
    assert GoExpression.parse(text).search(tag)


@pytest.mark.parametrize("text", ["(", "(?=a)", r"(a)\1", "a{2000}", "x" * (MAX_LENGTH + 1)])
def test_parse_refuses_durations_that_go_refuses(text, capfd):
    with pytest.raises(UsageError):
        GoExpression.parse(text)
    assert capfd.readouterr().err == ""


def test_hostile_tag_does_not_slow_down_matching():
    started = time.perf_counter()
    assert not GoExpression.parse("^(a+)+$").search("a" * 127 + "b")
    assert time.perf_counter() - started < 1


def test_expressions_with_the_same_text_are_equal():
    assert GoExpression.parse("a+") == GoExpression.parse("a+")
    assert GoExpression.parse("a+") != GoExpression.parse("a*")


def test_named_groups_of_a_match_are_returned():
    expression = GoExpression.parse("^(?P<host>[^/]+)/(?P<path>[^:]+)(?P<tag>:.+)?")
    assert expression.groups == ("host", "path", "tag")
    assert expression.find_groups("a.example/b") == {"host": "a.example", "path": "b", "tag": ""}
    assert expression.find_groups("b") is None
