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

Level = Literal["debug", "info", "warning", "error", "fatal"]

_COLOURS: dict[Level, int] = {"debug": 37, "info": 36, "warning": 33, "error": 31, "fatal": 31}
_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}
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
    stamp = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    rest = "".join(f" {name}={_value(value)}" for name, value in sorted(fields.items()))
    return f'time="{stamp}" level={level} msg={_value(message)}{rest}\n'


def quoted(text: str) -> str:
    r"""``text`` as Go's ``%q`` shows it; bytes of argv that are no Unicode as ``\xff``."""
    return f'"{"".join(map(_shown, text))}"'


def quoted_letter(letter: str) -> str:
    """One character as Go's ``%q`` shows a rune."""
    shown = {"'": "\\'", '"': '"'}.get(letter) or _shown(letter)
    return f"'{shown}'"


def _value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _BARE.fullmatch(text) else quoted(text)


def _shown(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
