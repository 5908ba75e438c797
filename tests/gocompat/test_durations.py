"""Durations are Go's."""

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
    "text",
    ["", "1", "s", ".s", "1 s", "1S", "1d", "--1s", "1e3s", "9999999999h", "٣s", "0x1s", "+"],
)
def test_malformed_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too long|not a duration"):
        durations.parse(text)


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
def test_how_go_prints_them(seconds: float, text: str) -> None:
    assert durations.format_duration(seconds) == text


@given(st.integers(0, 10**15))
def test_formatted_durations_parse_to_the_same_value(nanoseconds: int) -> None:
    seconds = nanoseconds / 10**9
    assert durations.parse(durations.format_duration(seconds)) == pytest.approx(seconds)


@given(st.text("0123456789.hmsunµ+-", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(durations.parse(text)) <= durations.LONGEST
