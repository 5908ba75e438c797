"""Timestamps in RFC 3339 form.

https://www.rfc-editor.org/rfc/rfc3339.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


def format_utc(moment: datetime) -> str:
    """Format a time that has a time zone, in UTC to the second: ``2026-11-23T07:00:00Z``."""
    return format_with_offset(moment.astimezone(UTC))


def format_to_minute(moment: datetime) -> str:
    """Format a time for people, in UTC to the minute: ``2026-11-23 07:00 UTC``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def format_date(moment: datetime) -> str:
    """Format the date of a time for people, in UTC: ``2026-11-23``."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def format_with_offset(moment: datetime) -> str:
    """Format a time in its own time zone to the second: ``2026-11-23T08:00:00+01:00``."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def format_nanoseconds(nanoseconds: int) -> str:
    """Format nanoseconds since 1970 in UTC, with as many digits as needed, as Go does."""
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.isoformat(timespec='seconds').removesuffix('+00:00')}{fraction}Z"


def parse_utc(
    text: str, subject: str, *, error: Callable[[str], BundlerError] = MalformedError
) -> datetime:
    """Parse a time in the form that ``format_utc`` writes; no other form is accepted.

    Raises:
        error: ``text`` is malformed, or the date does not exist.
    """
    if _UTC.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise error(
        f"{subject}: {text[:40]!r} is not a valid time (expected for example 2026-11-23T07:00:00Z)"
    )
