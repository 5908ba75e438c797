from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from bundler.registry.auth.challenges import Challenge, parse_challenges

tokens = st.text("abcXYZ019-._~", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
parameters = st.dictionaries(tokens.map(str.lower), values, min_size=1, max_size=5)


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(st.tuples(tokens, parameters), max_size=4), st.booleans())
def test_rendered_challenges_are_parsed(challenges, in_one_field):
    fields = [
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in members.items())
        for scheme, members in challenges
    ]
    read = parse_challenges([", ".join(fields)] if in_one_field else fields)
    assert read == [Challenge(scheme.lower(), members) for scheme, members in challenges]


@given(st.lists(st.text(), max_size=3))
def test_arbitrary_text_is_parsed(fields):
    assert all(isinstance(item, Challenge) for item in parse_challenges(fields))


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (
            'Bearer realm="https://auth.example/token",service="r",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "r",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ("Negotiate, Basic realm=x", [Challenge("negotiate"), Challenge("basic", {"realm": "x"})]),
        (
            'Negotiate dG9rZW4=, Basic realm="a, b"',
            [Challenge("negotiate"), Challenge("basic", {"realm": "a, b"})],
        ),
        (
            'BASIC Realm = "x" , charset="UTF-8"',
            [Challenge("basic", {"realm": "x", "charset": "UTF-8"})],
        ),
        (",, ,Basic", [Challenge("basic")]),
        ('Bearer realm="unfinished', [Challenge("bearer")]),
        ("", []),
        ("=", []),
    ],
)
def test_challenges_of_real_servers_are_parsed(field, expected):
    assert parse_challenges([field])[: len(expected)] == expected
    if not expected:
        assert parse_challenges([field]) == []


def test_first_of_duplicate_parameters_applies():
    assert parse_challenges(['Bearer realm="a",realm="b"']) == [Challenge("bearer", {"realm": "a"})]


@pytest.mark.parametrize("piece", ["a ", "a=", 'a="', "\\", '"\\', ",", " ", 'a="b",', "a=b "])
def test_hostile_fields_are_parsed_in_linear_time(piece):
    started = time.monotonic()
    parse_challenges([piece * 30_000])
    assert time.monotonic() - started < 2
