"""JSON encoding as in Go: only the formatting changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from bundler.gocompat import json_encoding
from tests import strategies

OBJECTS = st.dictionaries(st.text(max_size=5), strategies.documents(), max_size=4)


@given(OBJECTS, st.sampled_from([None, 0, 3]))
def test_split_and_join_preserve_object(value, indent):
    raw = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    members = json_encoding.split(raw)
    assert {key: json.loads(text) for key, text in members.items()} == value
    assert json.loads(json_encoding.join(members)) == value


@given(OBJECTS)
def test_split_and_join_preserve_encoded_objects(value):
    raw = json_encoding.join(json_encoding.split(json.dumps(value).encode()))
    assert json_encoding.join(json_encoding.split(raw)) == raw


def test_numbers_and_escapes_are_preserved():
    raw = b'{ "a" : 1.50e0, "b":"\\u00e9\\/\\"", "c":[ 1 , {"d" : ",}:" } ]}'
    assert json_encoding.split(raw) == {
        "a": "1.50e0",
        "b": '"\\u00e9\\/\\""',
        "c": '[1,{"d":",}:"}]',
    }


@pytest.mark.parametrize("char", "<>&\u2028\u2029")
def test_html_characters_are_escaped_everywhere(char):
    escaped = f"\\u{ord(char):04x}"
    assert json_encoding.dumps({char: char}).decode() == f'{{"{escaped}":"{escaped}"}}'
    raw = f'{{"{char}":"{char}"}}'.encode()
    assert json_encoding.join(json_encoding.split(raw)).decode() == f'{{"{escaped}":"{escaped}"}}'


def test_all_other_characters_are_unchanged():
    assert json_encoding.dumps("é\x7f😀").decode() == '"é\x7f😀"'
    assert json_encoding.dumps('\b\f\n\r\t\x01\\"').decode() == r'"\b\f\n\r\t\u0001\\\""'


def test_joined_members_are_sorted():
    assert json_encoding.join({"b": "1", "a": "2", "B": "3"}) == b'{"B":3,"a":2,"b":1}'


def test_long_string_is_parsed_in_linear_time():
    raw = json.dumps({"a": '\\"' * 500_000, "b": [[]] * 1000}).encode()
    assert len(json_encoding.split(raw)["a"]) == 2_000_002
