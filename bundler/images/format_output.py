r"""Format a struct as indented JSON, or with a Go template.

As in other container tools, a template is executed once per element of a list, here of one
element, unless it contains a ``range`` of its own. Outside of actions, ``\n`` and ``\t`` are
escape sequences. If the template begins with ``table``, the columns are aligned.
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
_MIN_WIDTH, _PADDING = 12, 2


def format_struct(value: Struct, template: str | None = None) -> bytes:
    """Format ``value`` with ``template``; None: as JSON. The result ends with a newline.

    Raises:
        LimitError: the output is larger, or takes longer, than allowed.
        UsageError: the template is invalid, or refers to an unknown field.
    """
    if not template or _IS_JSON.fullmatch(template):
        return f"{values.encode_json(value, indent=_INDENT)}\n".encode()
    from bundler.gocompat.template import execute  # noqa: PLC0415 - not for JSON

    source = "".join(
        part if part.startswith("{{") else part.replace("\\t", "\t").replace("\\n", "\n")
        for part in _ACTION.split(template)
    )
    is_table = template.startswith("table ")
    if is_table:
        source = source.removeprefix("table ").replace(" ", "\t")
    if not source.endswith("\n") and "\\n" not in source:  # "\n" may be in a string of an action
        source += "\n"
    if is_table or not _HAS_RANGE.search(source):
        source = f"{{{{range .}}}}{source}{{{{end -}}}}"
    text = execute.render(source, [value])
    if is_table:
        rows = [line.split("\t") for line in text.split("\n")]
        _align(rows, 0, len(rows), 0)
        text = "\n".join("".join(row) for row in rows)
    if any(0xD800 <= ord(char) < 0xE000 for char in text):
        raise UsageError("template: the output contains an unpaired surrogate")
    # Unprintable characters could control a terminal.
    escaped = (char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
    return "".join(escaped).encode()


def _align(rows: list[list[str]], start: int, end: int, column: int) -> None:
    """Pad the cells of ``column`` and of the columns to the right, in the given range of rows.

    A column consists of consecutive rows that have a cell in it. It is as wide as its widest
    cell. The last cell of a row is not padded, as in Go's tabwriter.
    """
    row = start
    while row < end:
        first = row
        while row < end and column < len(rows[row]) - 1:
            row += 1
        if row > first:
            width = max(len(cells[column]) + _PADDING for cells in rows[first:row])
            for cells in rows[first:row]:
                cells[column] = cells[column].ljust(max(width, _MIN_WIDTH))
            _align(rows, first, row, column + 1)
        else:
            row += 1
