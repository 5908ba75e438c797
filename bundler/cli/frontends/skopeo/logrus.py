"""Lines of a log as Skopeo's logger, logrus, writes them.

https://pkg.go.dev/github.com/sirupsen/logrus#TextFormatter
"""

from __future__ import annotations

import re
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Literal

from bundler.gocompat import quoting
from bundler.oci.json import timestamps

Level = Literal["debug", "info", "warning", "error", "fatal"]

_COLOURS: dict[Level, int] = {"debug": 37, "info": 36, "warning": 33, "error": 31, "fatal": 31}
_BARE = re.compile(r"[a-zA-Z0-9._/@^+-]*")
_BEGAN = time.monotonic()
_LOCK = threading.Lock()


def log(level: Level, message: str, /, **fields: object) -> None:
    """Write one entry to stderr, from any thread: for people on a terminal, else for machines."""
    if sys.stderr.isatty():
        colour, seconds = f"\x1b[{_COLOURS[level]}m", int(time.monotonic() - _BEGAN)
        start = f"{colour}{level.upper()[:4]}\x1b[0m[{seconds:04}]"
        rest = "".join(f" {colour}{name}\x1b[0m={_value(value)}" for name, value in fields.items())
        text = f"{start} {message:<44} {rest}\n"
    else:
        text = entry(level, message, datetime.now(UTC).astimezone(), **fields)
    with _LOCK:
        sys.stderr.write(text)
        sys.stderr.flush()


def entry(level: Level, message: str, now: datetime, /, **fields: object) -> str:
    """The line for ``message``; its time is as exact as a second, and fields are in order."""
    stamp = timestamps.format_with_offset(now)
    rest = "".join(f" {name}={_value(value)}" for name, value in sorted(fields.items()))
    return f'time="{stamp}" level={level} msg={_value(message)}{rest}\n'


def _value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _BARE.fullmatch(text) else quoting.quote(text)
