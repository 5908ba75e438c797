"""Strict JSON: documents that parsers interpret differently are refused."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from bundler.errors import LimitError, MalformedError
from bundler.oci.json import strict
from tests import peak_memory, strategies
from tests.peak_memory import MIB

BACKSLASH = "\\"


@given(strategies.documents(), st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_agrees_with_json_on_every_valid_document(value, ascii_only, indent):
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert strict.loads(raw) == json.loads(raw)


@given(strategies.canonical_documents)
def test_canonical_json_round_trips_and_is_unique(value):
    raw = strict.dumps(value)
    assert strict.loads(raw) == value
    assert strict.dumps(strict.loads(raw)) == raw
    assert raw.isascii()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_parsed_like_json_or_refused(raw):
    try:
        value = strict.loads(raw)
    except (MalformedError, LimitError):
        return
    assert value == json.loads(raw)


def test_canonical_json_is_sorted_without_whitespace():
    assert strict.dumps({"b": [1, True, None], "a": "\u00e4"}) == (
        b'{"a":"\\u00e4","b":[1,true,null]}'
    )


@pytest.mark.parametrize("value", [1.5, [1.0], {"a": {"b": [2.5]}}])
def test_canonical_json_refuses_fractions(value):
    with pytest.raises(TypeError):
        strict.dumps(value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1,"a":1}', "duplicate key 'a'"),
        (b'{"a":1,"\\u0061":2}', "duplicate key 'a'"),
        (b'[{"x":{"k":1,"k":2}}]', "duplicate key 'k'"),
        (b"NaN", "NaN is not a JSON number"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e999", "out of range"),
        (b"-1e999", "out of range"),
        (b"9223372036854775808", "64 bits"),
        (b"-9223372036854775809", "64 bits"),
        (b"1" * 100_000, "64 bits"),
        (b'\xef\xbb\xbf{"a":1}', "BOM"),
        ('{"a":1}'.encode("utf-16"), "not UTF-8 at byte 0"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        ('{"a":1}'.encode("utf-32-be"), "not JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8"),  # a surrogate, encoded
        (b'"\xc0\x80"', "not UTF-8"),  # an overlong zero
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'["\\ud800\\ud800"]', "surrogate"),
        (b'"\\udc00\\ud800"', "surrogate"),
        (b'{"a":1}x', "not JSON"),
        (b'{"a":1}{"a":1}', "not JSON"),
        (b'{"a":1}\0', "not JSON"),
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"[1,]", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"[01]", "not JSON"),
        (b"[+1]", "not JSON"),
        (b"[.5]", "not JSON"),
        (b"[1.]", "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b'"\\x41"', "not JSON"),
        (b'"open', "not JSON"),
        (b"[1 // one\n]", "not JSON"),
        (b"True", "not JSON"),
    ],
)
def test_loads_refuses_documents_that_parsers_read_differently(raw, reason):
    with pytest.raises(MalformedError, match=reason) as caught:
        strict.loads(raw, subject="the document")
    assert caught.value.message.startswith("the document: ")
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', BACKSLASH + "ud800"),
        (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
        (b" \t\r\n[ ] ", []),
        (b"-0", 0),
        (b"1e2", 100.0),
    ],
)
def test_loads_accepts_documents_at_the_limits(raw, value):
    assert strict.loads(raw) == value


@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_checked_before_parsing(brackets):
    levels = 64 // (1 + (len(brackets[0]) > 5))
    within = brackets[0] * levels + "1" + brackets[1] * levels
    assert strict.loads(within.encode())
    with pytest.raises(LimitError):
        strict.loads(f"[{within}]".encode())
    with pytest.raises(LimitError):
        strict.loads(brackets[0].encode() * 100_000)


@pytest.mark.parametrize("text", ['"' + "[" * 100 + '"', '["' + BACKSLASH + '"' + "{" * 100 + '"]'])
def test_brackets_in_strings_do_not_count_as_depth(text):
    assert strict.loads(text.encode()) == json.loads(text)


def test_many_shallow_brackets_are_accepted():
    raw = b"[" + b",".join([b"[{}]"] * 1_000) + b"]"
    assert strict.loads(raw) == [[{}]] * 1_000


def test_size_is_checked_first():
    with pytest.raises(LimitError):
        strict.loads(b"\xff" * 11, limit=10)
    assert strict.loads(b'"12345678"', limit=10) == "12345678"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"' + b"[" * 4_000_000 + b'"}',
        b"[" + b"[]," * 1_300_000 + b"0]",
        b"[" + b"[]," * 160_000 + b"0]",
        b'"' + b"\\\\" * 2_000_000 + b'"',
        b"0." + b"1" * 4_000_000,
        b'{"a":"' + b'\\"[' * 1_300_000,
    ],
)
def test_largest_documents_are_parsed_within_seconds(raw):
    begun = time.process_time()
    with suppress(MalformedError, LimitError):
        strict.loads(raw)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"[]", "an array"), (b'""', "a string"), (b"1", "a number"), (b"true", "a boolean"),
     (b"null", "null"), (b"1.5", "a number")],
)  # fmt: skip
def test_table_returns_members_by_name(raw, kind):
    with pytest.raises(MalformedError, match=f"expected a JSON object, got {kind}"):
        strict.load_object(raw)


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (b'["a",["b"],1]', 8),
        (b'{"a":1,"b":{}}', 9),
        (b'"[[,,::"', 1),
        (b'"a\\"\\u0041"', 3),
        (b'["a', 2),
    ],
)
def test_tokens_are_limited(raw, tokens):
    with suppress(MalformedError):
        strict.loads(raw, max_tokens=tokens)
    with pytest.raises(LimitError):
        strict.loads(raw, max_tokens=tokens - 1)


PARSE = """
import sys
from contextlib import suppress
from pathlib import Path

from bundler.errors import LimitError, MalformedError
from bundler.oci.json import strict

raw = Path(sys.argv[1]).read_bytes()
with suppress(LimitError, MalformedError):
    strict.loads(raw, limit=len(raw))
"""


@pytest.mark.parametrize(
    "unit",
    [b"[],", b'{"":0},', b'"",', b"0.5,", b'"[[[[",', b"[[[]]],", b'"\\ud83d\\ude00",', b"[{"],
)
def test_memory_is_a_small_multiple_of_the_size(tmp_path, unit):
    """Without a limit, the values would take a gigabyte."""
    path = tmp_path / "document.json"
    path.write_bytes(b"[" + unit * ((16 * MIB) // len(unit)) + b"0]")
    assert peak_memory.measure(PARSE, path) < 80 * MIB


def test_memory_of_escaped_characters_is_limited(tmp_path):
    path = tmp_path / "document.json"
    path.write_bytes(b'"' + b"\\ud83d\\ude00" * 1_300_000 + b'"')
    assert peak_memory.measure(PARSE, path) < 80 * MIB


def test_memory_of_the_largest_number_of_values_is_limited(tmp_path):
    """A key and a value take four tokens."""
    path = tmp_path / "document.json"
    path.write_bytes(b"{" + b",".join(b'"%d":0.5' % key for key in range(166_000)) + b"}")
    assert peak_memory.measure(PARSE, path) < 100 * MIB


@pytest.mark.parametrize("value", [{}, {"b": [1, True, None], "a": {"é": "\n\u2028"}}])
def test_canonical_parser_reads_what_is_written(value: dict[str, strict.JSON]):
    assert strict.load_canonical(strict.dumps(value), subject="document") == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"1",
        b"{} ",
        b"{}\n",
        b' {"a":1}',
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":18446744073709551616}',
        b'{"a":-0}',
        b'{"a":"\\u0061"}',
        b'{"a":"\\/"}',
        b'{"a":"\xc3\xa9"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_canonical_parser_refuses_other_forms(raw: bytes):
    with pytest.raises(MalformedError, match="canonical"):
        strict.load_canonical(raw, subject="document")


def test_canonical_parser_is_bounded():
    with pytest.raises(LimitError):
        strict.load_canonical(b'{"a":"' + b"x" * 100 + b'"}', subject="document", limit=50)
    with pytest.raises(LimitError):
        strict.load_canonical(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", subject="document")
