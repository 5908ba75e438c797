"""Members of JSON objects: the right type, the right spelling, or a message that names them."""

from __future__ import annotations

import pytest

from bundler.errors import MalformedError
from bundler.oci.json import fields


@pytest.mark.parametrize("key", ["Size", "SIZE", "\u017fize"])  # Go folds the long s to s
def test_a_known_member_in_another_case_is_refused(key):
    with pytest.raises(MalformedError, match="must be spelled 'size'"):
        fields.refuse_other_case({key: 1}, ["size"], "it")
    fields.refuse_other_case({"size": 1, "other": 2}, ["size"], "it")


@pytest.mark.parametrize("value", [-1, True, False, None, "5", 5.0, [5], 1e3])
def test_only_a_whole_number_is_a_number(value):
    with pytest.raises(MalformedError, match="it: size is not a whole number"):
        fields.integer({"size": value}, "size", "it")


def test_a_number_must_be_there():
    with pytest.raises(MalformedError, match="size"):
        fields.integer({}, "size", "it")


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (fields.text, [1, True, [], {}, 1.5]),
        (fields.obj, [1, "x", [], True]),
        (fields.objects, [{}, "x", [1], [None], ["x"]]),
        (fields.texts, [{}, "x", [1], [None], [["x"]]]),
        (fields.text_map, [[], "x", {"a": 1}, {"a": None}, {"a": {}}]),
    ],
)
def test_a_member_of_the_wrong_type_is_named(read, wrong):
    for value in wrong:
        with pytest.raises(MalformedError, match="it: member is not"):
            read({"member": value}, "member", "it")


def test_null_is_as_good_as_absent():
    for value in ({}, {"a": None}):
        assert fields.text(value, "a", "it") is None
        assert fields.obj(value, "a", "it") is None
        assert fields.objects(value, "a", "it") == []
        assert fields.texts(value, "a", "it") == ()
        assert fields.text_map(value, "a", "it") == {}
