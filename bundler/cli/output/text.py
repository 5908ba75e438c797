"""Text for people and JSON for machines; nothing from outside reaches a terminal unfiltered.

Data goes to stdout, all else to stderr.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from bundler.errors.counts import count as count  # noqa: PLC0414 - one of the forms of output

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from bundler.errors import BundlerError

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def plain(text: str) -> str:
    r"""``text`` with whatever could steer a terminal spelled out, as in ``\x1b``.

    That is every character which is not printable: controls, line ends, changes of the writing
    direction, what is invisible, and what cannot be encoded.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _spelled(char) for char in text)


def line(text: str = "") -> None:
    """Write one line of data to stdout."""
    sys.stdout.write(plain(text) + "\n")


def note(text: str) -> None:
    """Write one line for the user to stderr."""
    sys.stderr.write(plain(text) + "\n")


def aside(text: str, *, quiet: bool) -> None:
    """Write one line for the user to stderr, unless ``quiet``."""
    if not quiet:
        note(text)


def failure(error: BundlerError) -> None:
    """Write an error to stderr: what is wrong, each finding on its line, then the next step."""
    first, *findings = str(error).splitlines() or [type(error).__name__]
    note(f"airbundle: error: {first}")
    for finding in (*findings, *getattr(error, "__notes__", ())):
        note(f"  {finding}")
    if error.hint:
        note(f"hint: {error.hint}")


def document(value: dict[str, Any]) -> None:
    """Write the one JSON document that ``--json`` promises to stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Write aligned columns to stdout; ``right`` holds the positions of columns of numbers.

    A column in which no row has anything is left out.
    """
    columns = [
        (position in right, [plain(head), *map(plain, column)])
        for position, (head, *column) in enumerate(zip(header, *rows, strict=True))
        if any(column) or not rows
    ]
    aligned = [_aligned(column, right=is_right) for is_right, column in columns]
    for row in zip(*aligned, strict=True):
        sys.stdout.write("  ".join(row).rstrip() + "\n")


def size(count: float) -> str:
    """Bytes for people, in binary units: ``1.6 GiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1024
        if count < 1023.95 or unit == _UNITS[-1]:
            break
    return f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """A time for people, as precise as its length deserves: ``2 min 05 s``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def _aligned(column: Sequence[str], *, right: bool) -> list[str]:
    width = max(map(len, column))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in column]


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
