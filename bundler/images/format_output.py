r"""A struct as the bytes that a command prints: indented JSON, or what a template makes of it.

A template is run as the tools for containers do: over a list of one, once for each unless it says
so itself; ``\n`` and ``\t`` are what they are in C, and in actions what Go has them for; after
``table`` columns are aligned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import UsageError
from bundler.gocompat import values

if TYPE_CHECKING:
    from bundler.gocompat.values import Struct

_INDENT = 4
_IS_JSON = re.compile(r"\s*json\s*")
_ACTION = re.compile(r"({{.*?}})", re.DOTALL)
_HAS_RANGE = re.compile(r"{{\s*range\s*\.\s*}}.*{{\s*end\s*-?\s*}}", re.DOTALL)
_LEAST_WIDTH, _PADDING = 12, 2


def format_struct(value: Struct, template: str | None = None) -> bytes:
    """``value`` as ``template`` says, with the line's end; JSON if it does not.

    Raises:
        LimitError: the template asks for too much.
        UsageError: it is not a template, or asks for what is not there.
    """
    if not template or _IS_JSON.fullmatch(template):
        return f"{values.encode(value, indent=_INDENT)}\n".encode()
    from bundler.gocompat.template import execute  # noqa: PLC0415 - not for JSON

    plain = "".join(
        part if part.startswith("{{") else part.replace("\\t", "\t").replace("\\n", "\n")
        for part in _ACTION.split(template)
    )
    table = template.startswith("table ")
    if table:
        plain = plain.removeprefix("table ").replace(" ", "\t")
    if not plain.endswith("\n") and "\\n" not in plain:  # an action ends lines by itself
        plain += "\n"
    if table or not _HAS_RANGE.search(plain):
        plain = f"{{{{range .}}}}{plain}{{{{end -}}}}"
    made = execute.render(plain, [value])
    return _shown(_aligned(made) if table else made).encode()


def _aligned(text: str) -> str:
    """Columns of cells, each of which ends with a tab; a column is as wide as its widest cell.

    A column goes through lines that follow one another, as long as they have a cell in it.
    """
    rows = [line.split("\t") for line in text.split("\n")]
    _widen(rows, 0, len(rows), 0)
    return "\n".join("".join(row) for row in rows)


def _widen(rows: list[list[str]], start: int, end: int, column: int) -> None:
    """Pad the cells of ``column``, and of those to its right, in the rows from start to end."""
    at = start
    while at < end:
        first = at
        while at < end and column < len(rows[at]) - 1:
            at += 1
        if at > first:
            width = max(len(row[column]) + _PADDING for row in rows[first:at])
            for row in rows[first:at]:
                row[column] = row[column].ljust(max(width, _LEAST_WIDTH))
            _widen(rows, first, at, column + 1)
        else:
            at += 1


def _shown(text: str) -> str:
    """Without what could steer a terminal; see ``render.plain``, which would take line ends too."""
    if any(0xD800 <= ord(char) < 0xE000 for char in text):
        raise UsageError("template: it makes half a character")
    return "".join(
        char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text
    )
