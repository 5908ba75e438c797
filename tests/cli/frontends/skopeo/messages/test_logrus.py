"""Log entries in the format of logrus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bundler.cli.frontends.skopeo.messages import logrus
from bundler.gocompat import quoting

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


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('name "docker://me:pw@host:5000/a:1": bad', 'name "docker://***@host:5000/a:1": bad'),
        ("docker://token@host/a", "docker://***@host/a"),
        ("docker://app:1@sha256:ab", "docker://app:1@sha256:ab"),
        ("docker://host:5000/app:1@sha256:ab", "docker://host:5000/app:1@sha256:ab"),
        ("https://host/a then b@c/d", "https://host/a then b@c/d"),
    ],
)
def test_credentials_in_references_are_replaced(
    capsys: pytest.CaptureFixture[str], message: str, shown: str
):
    logrus.log("fatal", message)
    assert quoting.quote(shown) in capsys.readouterr().err
