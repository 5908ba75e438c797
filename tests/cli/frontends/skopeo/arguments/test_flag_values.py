"""Values of Skopeo's flags."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, strategies as st

from bundler.cli.frontends.skopeo.arguments import flag_values


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_of_every_base_are_parsed(number: int) -> None:
    sign, size = "-" if number < 0 else "", abs(number)
    for text in (f"{number}", f"{sign}{size:#x}", f"{sign}{size:#o}", f"{sign}{size:#b}"):
        assert flag_values.parse_int(text) == number


@pytest.mark.parametrize("text", ["", "-", "1_0", "0x", "0x_", "1__0", "0_x1", "08", "x", "1.0"])
def test_malformed_integers_are_refused(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        flag_values.parse_int(text)
    assert str(refused.value) == f'strconv.ParseInt: parsing "{text}": invalid syntax'


@pytest.mark.parametrize(("text", "number"), [("0x_1f", 31), ("0_17", 15), ("0b1_1", 3), ("+7", 7)])
def test_underscores_separate_digits_after_a_prefix(text: str, number: int) -> None:
    assert flag_values.parse_int(text) == number


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs", "Cc"])), min_size=1))
def test_csv_fields_round_trip(items: list[str]) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(items)
    assert flag_values.parse_csv(out.getvalue()) == items


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a"b', 'parse error on line 1, column 2: bare " in non-quoted-field'),
        ('"a', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
        ('"a"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
    ],
)
def test_unmatched_csv_quotes_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        flag_values.parse_csv(text)
    assert str(refused.value) == reason
