"""Timestamps in RFC 3339 form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, strategies as st

from bundler.errors import ConfigError, MalformedError
from bundler.oci.json import timestamps

MOMENT = datetime(2026, 11, 23, 8, 0, 5, 999_999, tzinfo=timezone(timedelta(hours=1)))


def test_format_utc_converts_the_time_zone_and_drops_the_fraction():
    assert timestamps.format_utc(MOMENT) == "2026-11-23T07:00:05Z"


def test_format_date_converts_the_time_zone():
    moment = MOMENT.replace(hour=0)
    assert timestamps.format_date(moment) == "2026-11-22"


def test_format_with_offset_keeps_the_time_zone():
    assert timestamps.format_with_offset(MOMENT) == "2026-11-23T08:00:05+01:00"
    assert timestamps.format_with_offset(MOMENT.astimezone(UTC)) == "2026-11-23T07:00:05Z"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-62_135_596_800 * 10**9, "0001-01-01T00:00:00Z"),
    ],
)
def test_format_nanoseconds_writes_only_the_digits_that_are_needed(nanoseconds, text):
    assert timestamps.format_nanoseconds(nanoseconds) == text


@given(st.datetimes(timezones=st.just(UTC)))
def test_parse_utc_reverses_format_utc(moment):
    text = timestamps.format_utc(moment)
    assert timestamps.parse_utc(text, "it") == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23T07:00:00",
        "2026-11-23T07:00:00+00:00",
        "2026-11-23T07:00:00.5Z",
        "2026-11-23 07:00:00Z",
        "2026-02-30T07:00:00Z",
        "2026-11-23T24:00:00Z",
        "0000-01-01T00:00:00Z",
        "٢٠٢٦-11-23T07:00:00Z",
        "2026-11-23T07:00:00Z\n",
    ],
)
def test_parse_utc_refuses_other_formats(text):
    with pytest.raises(MalformedError):
        timestamps.parse_utc(text, "it")
    with pytest.raises(ConfigError):
        timestamps.parse_utc(text, "it", error=ConfigError)
