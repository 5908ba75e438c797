from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from bundler.errors import MalformedError
from bundler.gocompat.values import NIL, NIL_MAP, NIL_SLICE, Struct, StructField, Time, encode_json
from bundler.images.format_output import format_struct

DATA = Struct(
    "test",
    (
        StructField("Os", "linux"),
        StructField("Gone", "", omit_empty=True),
        StructField("Layers", ["sha256:1", "sha256:22"]),
        StructField(
            "Inner",
            Struct("inner", (StructField("A", 1), StructField("B", NIL_MAP))),
            embedded=True,
        ),
    ),
)


def test_json_is_indented_by_four_spaces() -> None:
    expected = (
        b'{\n    "Os": "linux",\n    "Layers": [\n        "sha256:1",\n        "sha256:22"\n    ],'
        b'\n    "A": 1,\n    "B": null\n}\n'
    )
    for template in (None, "", "json", " json "):
        assert format_struct(DATA, template) == expected


def test_json_of_a_template_is_one_line() -> None:
    assert format_struct(DATA, "{{json .}}").count(b"\n") == 1


def test_template_that_ends_lines_gets_no_other_line_end() -> None:
    assert format_struct(DATA, r'{{range .Layers}}{{.}}{{"\n"}}{{end}}') == b"sha256:1\nsha256:22\n"
    assert format_struct(DATA, r'{{.Os}}{{"\n"}}x') == b"linux\nx"
    assert format_struct(DATA, r"{{.Os}}{{println}}") == b"linux\n\n"


def test_template_is_executed_once_and_gets_a_line_end() -> None:
    assert format_struct(DATA, "{{.Os}}") == b"linux\n"
    assert format_struct(DATA, "{{.Os}}\n") == b"linux\n"
    assert format_struct(DATA, "{{range .}}<{{.Os}}>{{end}}") == b"<linux>\n"
    assert format_struct(DATA, r"{{.Os}}\t{{.A}}\n") == b"linux\t1\n"
    assert format_struct(DATA, "{{json .Inner}}") == b'{"A":1,"B":null}\n'


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("table {{.Os}} {{.A}}", "linux       1\n"),
        (
            r"table {{range .Layers}}{{.}}\t{{len .}}\tx\n{{end}}",
            "sha256:1    8           x\nsha256:22   9           x\n\n",
        ),
        ("table {{.Os}}{{.Os}}{{.Os}} {{.A}}", "linuxlinuxlinux  1\n"),
    ],
)
def test_table_has_aligned_columns(template: str, printed: str) -> None:
    assert format_struct(DATA, template).decode() == printed


def test_control_characters_are_escaped() -> None:
    hostile = Struct("test", (StructField("A", "a\x1b[2J\u202e\x9b\nb\tü<&>"),))
    assert format_struct(hostile, "{{.A}}").decode() == "a\\x1b[2J\\u202e\\x9b\nb\tü<&>\n"
    shown = format_struct(hostile).decode()
    assert r'"a\u001b[2J\u202e\u009b\nb\tü\u003c\u0026\u003e"' in shown
    assert json.loads(shown) == {"A": "a\x1b[2J\u202e\x9b\nb\tü<&>"}


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text()) | st.integers(-9, 9)))
def test_json_is_equivalent_and_has_no_control_characters(value: dict[str, str]) -> None:
    for indent in (None, 4):
        encoded = encode_json(dict(value), indent=indent)
        assert json.loads(encoded) == value
        assert all(char.isprintable() or char == "\n" for char in encoded)
        assert not set(encoded) & set("<>&")


@pytest.mark.parametrize(
    ("text", "in_json", "printed"),
    [
        ("2020-01-02T03:04:05Z", "2020-01-02T03:04:05Z", "2020-01-02 03:04:05 +0000 UTC"),
        ("2020-02-29T23:59:59.120300Z", "2020-02-29T23:59:59.1203Z", None),
        ("2020-01-02T03:04:05.1234567891Z", "2020-01-02T03:04:05.123456789Z", None),
        ("2020-01-02T03:04:05.000+00:00", "2020-01-02T03:04:05Z", "2020-01-02 03:04:05 +0000 UTC"),
        ("2020-01-02T03:04:05-05:30", None, "2020-01-02 03:04:05 -0530 -0530"),
        ("0001-01-01T00:00:00Z", None, "0001-01-01 00:00:00 +0000 UTC"),
    ],
)
def test_times_are_formatted_as_in_go(text: str, in_json: str | None, printed: str | None) -> None:
    time = Time.parse(text, "test")
    assert time.rfc3339 == (in_json or text)
    assert printed in (None, str(time))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-01-02",
        "2020-01-02 03:04:05Z",
        "2020-02-30T00:00:00Z",
        "2020-01-02T24:00:00Z",
        "2020-01-02T03:04:05",
        "2020-01-02T03:04:05+25:00",
        "2020-01-02T03:04:60Z",
        "٢٠٢٠-01-02T0Z",
    ],
)
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Time.parse(text, "test")


def test_nil_values_are_null_in_json() -> None:
    assert encode_json([NIL, NIL_MAP, NIL_SLICE, [], {}]) == "[null,null,null,[],{}]"
