"""Log entries in the format of logrus, Skopeo's logger.

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
_UNQUOTED = re.compile(r"[a-zA-Z0-9._/@^+-]*")
_CREDENTIALS = re.compile(r"//[^/\s\"@]+@(?=[^\s\"]*/)")
"""Credentials before a host, which Skopeo would show; a digest has no slash after its ``@``."""
_STARTED = time.monotonic()
_LOCK = threading.Lock()


def log(level: Level, message: str, /, **fields: object) -> None:
    """Write an entry to stderr, with colours on a terminal; may be called from any thread.

    Credentials in the references of the message are replaced.
    """
    message = _CREDENTIALS.sub("//***@", message)
    if sys.stderr.isatty():
        colour, seconds = f"\x1b[{_COLOURS[level]}m", int(time.monotonic() - _STARTED)
        start = f"{colour}{level.upper()[:4]}\x1b[0m[{seconds:04}]"
        rest = "".join(
            f" {colour}{name}\x1b[0m={_format_value(value)}" for name, value in fields.items()
        )
        text = f"{start} {message:<44} {rest}\n"
    else:
        text = format_entry(level, message, datetime.now(UTC).astimezone(), **fields)
    with _LOCK:
        sys.stderr.write(text)
        sys.stderr.flush()


def format_entry(level: Level, message: str, now: datetime, /, **fields: object) -> str:
    """Format an entry for output that is not a terminal: time, level, message, sorted fields."""
    stamp = timestamps.format_with_offset(now)
    rest = "".join(f" {name}={_format_value(value)}" for name, value in sorted(fields.items()))
    return f'time="{stamp}" level={level} msg={_format_value(message)}{rest}\n'


def _format_value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _UNQUOTED.fullmatch(text) else quoting.quote(text)
