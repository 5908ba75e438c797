"""Log entries in the format of logrus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bundler.cli.frontends.skopeo.messages import logrus

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("plain-word/1.2_3@x^+", "msg=plain-word/1.2_3@x^+"),
        ("two words", 'msg="two words"'),
        ("a:b", 'msg="a:b"'),
        ("", "msg="),
    ],
)
def test_entry_quotes_values_with_special_characters(message: str, line: str) -> None:
    front = 'time="2026-04-01T12:00:00Z" level=fatal '
    assert logrus.format_entry("fatal", message, NOON) == f"{front}{line}\n"


def test_entry_has_time_zone_and_sorted_fields() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    assert logrus.format_entry("info", "x", there, tagged=True, image="a b") == (
        'time="2026-04-01T06:30:00-05:30" level=info msg=x image="a b" tagged=true\n'
    )
