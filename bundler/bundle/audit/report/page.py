"""The report as one HTML file that loads nothing, and works without its script too."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, NamedTuple

from bundler import __version__
from bundler.bundle.audit.report.page_data import create_page_data
from bundler.bundle.audit.report.page_facts import show_facts
from bundler.bundle.audit.report.page_sections import (
    show_note,
    show_rules,
    show_sizes,
    show_table,
)
from bundler.bundle.audit.report.page_tables import create_tables
from bundler.bundle.markup import (
    create_data_block,
    create_source_hash,
    to_html,
)
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.audit.report.page_data import Table
    from bundler.bundle.audit.report.record import Conclusion, Report

_VERDICTS: dict[Conclusion, tuple[str, str]] = {
    "passes": ("✓", "Passes"),
    "fails": ("✕", "Does not pass"),
    "not-verified": ("!", "Not verified"),
    "no-rules": ("?", "No rules were given"),
}
_HIDE_ROWS = 'document.documentElement.className = "loading";'
"""The script at the beginning of a page, with which the style hides most rows until the script at
its end replaces them: a browser would compute the positions of all of them in vain."""
_NOT_CHECKED = "No check for known vulnerabilities was made."


def create_page(report: Report) -> str:
    """Return the page."""
    style, script = _read("report.css"), _read("report.js")
    sources = " ".join(map(create_source_hash, (_HIDE_ROWS, script)))
    policy = (
        f"default-src 'none'; script-src {sources};"
        f" style-src {create_source_hash(style)}; base-uri 'none'; form-action 'none';"
        " require-trusted-types-for 'script'"
    )
    tables = list(create_tables(report))
    sections = list(_list_sections(report, tables))
    heading = report.location if report.bundle is None else report.bundle.inventory.stream
    sign, verdict = _VERDICTS[report.conclusion]
    return Template(_read("report.html")).substitute(
        policy=policy,
        title=to_html(f"{verdict}: audit of {heading}"),
        style=style,
        hide_rows=_HIDE_ROWS,
        script=script,
        heading=to_html(heading),
        location=to_html(report.location),
        conclusion=report.conclusion,
        sign=sign,
        verdict=verdict,
        reason=to_html(report.reason),
        facts=show_facts(report),
        links="".join(section.create_link() for section in sections if section.is_linked),
        sections="\n".join(section.create_element() for section in sections),
        version=to_html(__version__),
        created=timestamps.format_to_minute(report.created),
        data=create_data_block(create_page_data(report, tables)),
    )


class _Section(NamedTuple):
    """A section with a heading; ``content`` is HTML."""

    id: str
    title: str
    content: str
    number: str = ""
    """The number of rows, or empty."""
    is_linked: bool = True

    def create_element(self) -> str:
        return (
            f'<section id="{self.id}" aria-labelledby="{self.id}-title">'
            f'<h2 id="{self.id}-title">{self.title}</h2>{self.content}</section>'
        )

    def create_link(self) -> str:
        return f'<li><a href="#{self.id}">{self.title} <b>{self.number}</b></a></li>'


def _list_sections(report: Report, tables: Sequence[Table]) -> Iterator[_Section]:
    """Yield the sections in the order of the page; none if the audit ended with an error."""
    if report.problem is not None:
        return
    if rules := show_rules(report):
        yield _Section("rules", "Findings by rule", rules, is_linked=False)
    for table in tables:
        if table.id == "images":
            yield _Section("sizes", "Sizes", show_sizes(report))
        yield _Section(table.id, table.title, show_table(table), f"{len(table.rows):,}")
        if table.id == "waivers" and report.vulnerabilities is None:
            yield _Section("vulnerabilities", "Vulnerabilities", show_note(_NOT_CHECKED))


def _read(name: str) -> str:
    return files("bundler.bundle.audit.report").joinpath(name).read_text("utf-8")
