"""The sections of a page as HTML: findings by rule, sizes, and tables."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bundler.bundle.audit.report.page_tables import MOST_SEVERE_FIRST
from bundler.bundle.audit.report.treemap import create_treemap
from bundler.bundle.markup import create_element, to_html
from bundler.errors import count, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.report.page_data import Table
    from bundler.bundle.audit.report.record import Report

MAX_STATIC = 1_000
"""The maximum number of rows of one table that are part of the page itself."""


def show_note(text: str) -> str:
    """Return a sentence in place of content."""
    return create_element("p", to_html(text), class_="note")


def show_rules(report: Report) -> str:
    """Return the number of findings of each rule, with what to do; empty without findings."""
    if report.verdict is None or not report.verdict.findings:
        return ""
    counted = Counter((item.severity, item.code) for item in report.verdict.findings)
    advice = {item.code: item.advice for item in report.verdict.findings}
    rows = "".join(
        f'<tr><td data-label="Severity"><span class="severity {severity}">{severity}</span></td>'
        f'<th scope="row">{to_html(code)}</th><td class="number" data-label="Findings">{number:,}'
        f'</td><td data-label="What to do">{to_html(advice[code])}</td></tr>'
        for (severity, code), number in sorted(
            counted.items(),
            key=lambda item: (MOST_SEVERE_FIRST.index(item[0][0]), -item[1], item[0][1]),
        )
    )
    head = "".join(
        f'<th scope="col"{kind}>{label}</th>'
        for label, kind in (
            ("Severity", ""),
            ("Rule", ""),
            ("Findings", ' class="number"'),
            ("What to do", ""),
        )
    )
    return (
        '<div class="frame"><table><caption>Findings by rule, with the next step</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def show_sizes(report: Report) -> str:
    """Return the drawings of the sizes, one for wide and one for narrow screens."""
    drawings = create_treemap(report, "wide", 1120, 460, 90)
    if not drawings:
        return show_note("No content was read.")
    drawings += create_treemap(report, "narrow", 340, 430, 24)
    text = (
        "Each box is an image, divided into its layers. Hatched layers are shared with other"
        " images; the area of a shared layer is divided between them, so that all areas together"
        f" are the {format_size(report.total_size)} that are stored."
    )
    return f"<figure>{drawings}<figcaption>{to_html(text)}</figcaption></figure>"


def show_table(table: Table) -> str:
    """Return a table; with its first rows, if readers without scripts need them."""
    if not table.rows:
        return show_note(table.empty)
    head = "".join(
        f'<th scope="col" class="{column.kind}">{column.label}</th>' for column in table.columns
    )
    if table.is_static:
        body = "".join(_show_row(table, row) for row in table.rows[:MAX_STATIC])
        rest = len(table.rows) - MAX_STATIC
        note = f"{count(rest, 'more row')}" if rest > 0 else ""
    else:
        body, note = "", count(len(table.rows), "row")
    if note:
        note += ": listed by the script of this page, and in the report as JSON."
        body += f'<tr><td colspan="{len(table.columns)}">{note}</td></tr>'
    return (
        f'<div class="frame"><table data-table="{table.id}">'
        f"<caption>{to_html(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _show_row(table: Table, row: Sequence[str | int]) -> str:
    cells = []
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(value, str):
            text = value
        elif column.kind == "size":
            text = format_size(value) if value >= 0 else "unknown"
        elif column.kind == "score":
            text = f"{value / 10:.1f}" if value >= 0 else ""
        else:
            text = f"{value:,}"
        content = to_html(text)
        if column.label == "Severity":
            content = f'<span class="severity {content}">{content}</span>'
        cells.append(f'<td class="{column.kind}" data-label="{column.label}">{content}</td>')
    return f"<tr>{''.join(cells)}</tr>"
