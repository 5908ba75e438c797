"""Tables of a page, and their rows in a compact form for the script.

A text is stored once for all tables. Rows are stored by column: numbers, and positions of texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.markup import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.bundle.audit.report.record import Report

Kind = Literal["text", "code", "choice", "count", "size", "score"]
"""The form of a column: text, a digest or a path, one of a few texts to select by, a number, a
number of bytes (-1: unknown), or tenths (-1: none)."""
Row = tuple[str | int, ...]
Fact = tuple[str, str]
"""A label and a text."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    label: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a page."""

    id: str
    """The ID of the element."""
    title: str
    caption: str
    """A sentence about the rows."""
    columns: tuple[Column, ...]
    rows: Sequence[Row]
    empty: str
    """The sentence in place of a table without rows."""
    facts: Sequence[Sequence[Fact]] | None = None
    """For each row, further facts; None: the rows have no details."""
    relation: Literal["layers", "packages"] | None = None
    """The relation from which the script lists the images of a row."""
    is_static: bool = False
    """Whether the first rows are part of the page, for readers without scripts and for print."""


class TextList:
    """The distinct texts of a page, in the form in which it shows them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.texts: list[str] = []

    def add(self, text: str) -> int:
        """Return the position of ``text``."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.texts)
            self.texts.append(show(text))
        return number


def create_page_data(report: Report, tables: Iterable[Table]) -> dict[str, Any]:
    """Return the rows of all tables, and the relations between images, layers and packages."""
    texts = TextList()
    described = {}
    for table in tables:
        columns: list[list[int]] = [
            [value if isinstance(value, int) else texts.add(value) for value in values]
            for values in zip(*table.rows, strict=True)
        ]
        facts = None
        if table.facts is not None:
            facts = [[texts.add(text) for fact in row for text in fact] for row in table.facts]
        described[table.id] = {
            "kinds": [column.kind for column in table.columns],
            "columns": columns,
            "facts": facts,
            "relation": table.relation,
        }
    return {
        "tables": described,
        "images": [texts.add(image.audited.name) for image in report.images],
        "layerImages": [_shrink(layer.images) for layer in report.layers],
        "setPackages": [_shrink(each.packages) for each in report.package_sets],
        "imageSets": [
            sorted({number for platform in image.platforms for number in platform.package_sets})
            for image in report.images
        ],
        "texts": texts.texts,
    }


def _shrink(numbers: Sequence[int]) -> list[int]:
    """Return ascending numbers as their differences, which have fewer digits."""
    return [number - before for before, number in zip((0, *numbers), numbers, strict=False)]
