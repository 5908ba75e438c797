"""Durations in Go's syntax."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies as st

from bundler.gocompat import durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1h2m3.5s", 3723.5),
        ("250ms", 0.25),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("+2s", 2),
        ("-2s", -2),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("3μs", 3e-6),
        ("7ns", 7e-9),
        ("1s1s", 2),
    ],
)
def test_parse_accepts_durations(text: str, seconds: float) -> None:
    assert durations.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ("1", 'time: missing unit in duration "1"'),
        ("s", 'time: invalid duration "s"'),
        ("+", 'time: invalid duration "+"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("1S", 'time: unknown unit "S" in duration "1S"'),
        ("--1s", 'time: invalid duration "--1s"'),
        ("1e3s", 'time: unknown unit "e" in duration "1e3s"'),
        ("٣s", 'time: invalid duration "٣s"'),
        ("0x1s", 'time: unknown unit "x" in duration "0x1s"'),
        (f"{'1' * 41}s", f'time: invalid duration "{"1" * 41}s"'),
    ],
)
def test_malformed_durations_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        durations.parse(text)
    assert str(refused.value) == reason


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_durations_are_sums_of_their_parts(
    hours: int, minutes: int, seconds: int, millis: int
) -> None:
    whole = hours * 3600 + minutes * 60 + seconds + millis / 1000
    text = f"{hours}h{minutes}m{seconds}.{millis:03}s"
    assert durations.parse(text) == pytest.approx(whole)
    assert durations.parse(f"-{text}") == pytest.approx(-whole)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.1, "100ms"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (90.25, "1m30.25s"),
        (3600, "1h0m0s"),
        (0.0000015, "1.5µs"),
        (-2, "-2s"),
    ],
)
def test_durations_are_formatted_like_go(seconds: float, text: str) -> None:
    assert durations.format_duration(seconds) == text


@given(st.integers(0, 10**15))
def test_formatted_durations_parse_to_the_same_value(nanoseconds: int) -> None:
    seconds = nanoseconds / 10**9
    assert durations.parse(durations.format_duration(seconds)) == pytest.approx(seconds)


@given(st.text("0123456789.hmsunµ+-", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(durations.parse(text)) <= durations.LONGEST
