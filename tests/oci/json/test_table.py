"""Typed reads of the members of an object."""

from __future__ import annotations

import pytest

from bundler.errors import ConfigError, LimitError, MalformedError
from bundler.oci.json.table import Table

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize("key", ["Size", "SIZE", "\u017fize"])  # Go folds the long s to s
def test_refuse_other_case_reports_the_correct_spelling(key):
    with pytest.raises(MalformedError, match="must be spelled 'size'"):
        Table({key: 1}, "it").refuse_other_case(["size"])


def test_refuse_other_case_accepts_unknown_members():
    Table({"size": 1, "other": 2}, "it").refuse_other_case(["size"])


def test_refuse_unknown_names_the_key():
    Table({"size": 1}, "it").refuse_unknown(["size", "name"])
    with pytest.raises(MalformedError, match="it: unknown key 'Size'"):
        Table({"Size": 1}, "it").refuse_unknown(["size"])


@pytest.mark.parametrize("value", [-1, True, False, None, "5", 5.0, [5], 1e3])
def test_integer_refuses_everything_but_a_nonnegative_integer(value):
    with pytest.raises(MalformedError, match="it: size is not an integer"):
        Table({"size": value}, "it").integer("size")


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (Table.text, [1, True, [], {}, 1.5]),
        (Table.optional_text, [1, True, [], {}, 1.5]),
        (Table.flag, [0, 1, "true", [], {}]),
        (Table.table, [1, "x", [], True]),
        (Table.optional_table, [1, "x", [], True]),
        (Table.tables, [{}, "x", [1], [None], ["x"]]),
        (Table.texts, [{}, "x", [1], [None], [["x"]]]),
        (Table.text_map, [[], "x", {"a": 1}, {"a": None}, {"a": {}}]),
    ],
)
def test_error_names_member_of_wrong_type(read, wrong):
    for value in wrong:
        with pytest.raises(MalformedError, match="it: member is n"):
            read(Table({"member": value}, "it"), "member")


@pytest.mark.parametrize("value", [{}, {"a": None}])
def test_null_counts_as_absent(value):
    table = Table(value, "it")
    assert "a" not in table
    assert table.optional_text("a") is None
    assert table.integer("a", 7) == 7
    assert table.flag("a", default=True) is True
    assert table.one_of("a", ("x", "y"), "x") == "x"
    assert table.optional_table("a") is None
    assert table.table("a").value == {}
    assert table.tables("a") == ()
    assert table.texts("a") == ()
    assert table.text_map("a") == {}


@pytest.mark.parametrize("read", [Table.text, Table.integer, Table.flag, Table.digest])
def test_error_names_missing_required_member(read):
    with pytest.raises(MalformedError, match="it: member is"):
        read(Table({}, "it"), "member")


def test_empty_string_counts_as_absent():
    table = Table({"a": ""}, "it")
    assert table.optional_text("a") is None
    with pytest.raises(MalformedError, match="it: a is missing or empty"):
        table.text("a")


def test_one_of_refuses_other_values():
    assert Table({"a": "x"}, "it").one_of("a", ("x", "y")) == "x"
    for value in ("z", 1, None, []):
        with pytest.raises(MalformedError, match="it: a is not one of x, y"):
            Table({"a": value}, "it").one_of("a", ("x", "y"))


def test_digest_reports_the_member_and_the_problem():
    assert Table({"d": DIGEST}, "it").digest("d").text == DIGEST
    with pytest.raises(MalformedError, match="it: d: "):
        Table({"d": "sha256:abc"}, "it").digest("d")


def test_base64_reports_the_member():
    table = Table({"a": "//4=", "b": "__4"}, "it", ConfigError)
    assert table.base64("a") == table.base64url("b") == b"\xff\xfe"
    assert table.base64("c") == table.base64url("c") == b""
    with pytest.raises(ConfigError, match="it: b: not base64"):
        table.base64("b")
    with pytest.raises(ConfigError, match="it: a: not base64url"):
        table.base64url("a")


def test_nested_tables_extend_the_subject():
    table = Table({"a": {"b": [{}, {"c": 1}]}}, "it")
    with pytest.raises(MalformedError, match=r"^it: a: b\[1\]: c is not a string$"):
        table.table("a").tables("b")[1].text("c")


def test_tables_refuses_more_entries_than_the_limit():
    with pytest.raises(LimitError):
        Table({"a": [{}, {}]}, "it").tables("a", 1)


def test_nested_tables_inherit_the_error_and_the_noun():
    table = Table.of({"a": {"b": 1}}, "it", error=ConfigError, noun="table")
    with pytest.raises(ConfigError, match="it: a: b is not a table"):
        table.table("a").table("b")


def test_of_refuses_a_value_that_is_not_an_object():
    with pytest.raises(ConfigError, match="it: not a table"):
        Table.of([], "it", error=ConfigError, noun="table")


def test_parse_refuses_a_document_that_is_not_an_object():
    assert Table.parse(b'{"a":"b"}', "it").text("a") == "b"
    with pytest.raises(MalformedError):
        Table.parse(b"[]", "it")
    with pytest.raises(LimitError):
        Table.parse(b'{"a":"b"}', "it", limit=3)
