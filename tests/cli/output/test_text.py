"""Output of text and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.cli.output import text as render
from bundler.errors import DamagedBundleError

if TYPE_CHECKING:
    from collections.abc import Callable


@given(st.text(st.characters(), max_size=50))
def test_escaped_text_is_printable(text: str) -> None:
    shown = render.escape(text)
    assert shown.isprintable()
    shown.encode()


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x9b2J", "\\x9b2J"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("\udc80", "\\udc80"),
        ("Grüße", "Grüße"),
    ],
)
def test_control_characters_are_escaped(hostile: str, shown: str) -> None:
    assert render.escape(hostile) == shown


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (1_700_000_000, "1.6 GiB"),
        (2**70, "1048576.0 PiB"),
    ],
)
def test_sizes_are_formatted_in_binary_units(number: int, text: str) -> None:
    assert render.format_size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0.2 s"),
        (0.96, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.9, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_precision_of_a_duration_depends_on_its_length(seconds: float, text: str) -> None:
    assert render.format_duration(seconds) == text


def test_table_is_aligned_and_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_table(["name", "size"], [["a\x1bb", "9 B"], ["longer name", "1.0 KiB"]], right={1})
    assert capsys.readouterr().out == (
        "name            size\na\\x1bb           9 B\nlonger name  1.0 KiB\n"
    )


def test_empty_column_is_omitted(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_table(["name", "rename", "size"], [["a", "", "9 B"], ["b", "", "1 B"]], right={2})
    assert capsys.readouterr().out == "name  size\na      9 B\nb      1 B\n"


def test_json_document_contains_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    render.print_json({"name": "ü\x9b"})
    written = capsys.readouterr().out
    assert written.isascii()
    assert json.loads(written) == {"name": "ü\x9b"}


@pytest.mark.parametrize("write", [render.print_line, render.print_note])
def test_line_breaks_are_escaped(
    write: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    write("a\nb")
    out, err = capsys.readouterr()
    assert out + err == "a\\nb\n"


def test_error_is_printed_with_each_finding_on_its_own_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = DamagedBundleError("2 parts", ["first", "second\x1b"], hint="copy it again")
    render.print_error(error)
    assert capsys.readouterr().err == (
        "airbundle: error: 2 parts\n  first\n  second\\x1b\nhint: copy it again\n"
    )
