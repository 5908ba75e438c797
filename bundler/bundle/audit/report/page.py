"""The report as one HTML file that loads nothing, and works without its script too."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from bundler import __version__
from bundler.bundle.audit.report.page_data import create_page_data
from bundler.bundle.audit.report.page_sections import (
    show_facts,
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
    from bundler.bundle.audit.report.record import Conclusion, Report

_VERDICTS: dict[Conclusion, tuple[str, str]] = {
    "passes": ("✓", "Passes"),
    "fails": ("✕", "Does not pass"),
    "not-verified": ("!", "Not verified"),
    "no-rules": ("?", "No rules were given"),
}
_NOT_CHECKED = "No check for known vulnerabilities was made."


def create_page(report: Report) -> str:
    """Return the page."""
    style, script = _read("report.css"), _read("report.js")
    policy = (
        f"default-src 'none'; script-src {create_source_hash(script)};"
        f" style-src {create_source_hash(style)}; base-uri 'none'; form-action 'none';"
        " require-trusted-types-for 'script'"
    )
    tables = list(create_tables(report))
    heading = report.location if report.bundle is None else report.bundle.inventory.stream
    sign, verdict = _VERDICTS[report.conclusion]
    sections = [
        (table.id, table.title, f"{len(table.rows):,}", show_table(table)) for table in tables
    ]
    if report.problem is not None:
        sections = []
    else:
        if report.vulnerabilities is None:
            note = ("vulnerabilities", "Vulnerabilities", "", show_note(_NOT_CHECKED))
            sections.insert(2, note)
        position = [section[0] for section in sections].index("images")
        sections.insert(position, ("sizes", "Sizes", "", show_sizes(report)))
        rules = show_rules(report)
        if rules:
            sections.insert(0, ("rules", "Findings by rule", "", rules))
    return Template(_read("report.html")).substitute(
        policy=policy,
        title=to_html(f"{verdict}: audit of {heading}"),
        style=style,
        script=script,
        heading=to_html(heading),
        location=to_html(report.location),
        conclusion=report.conclusion,
        sign=sign,
        verdict=verdict,
        reason=to_html(report.reason),
        facts=show_facts(report),
        links="".join(
            f'<li><a href="#{name}">{title} <b>{number}</b></a></li>'
            for name, title, number, _ in sections
            if name != "rules"
        ),
        sections="\n".join(
            f'<section id="{name}" aria-labelledby="{name}-title">'
            f'<h2 id="{name}-title">{title}</h2>{content}</section>'
            for name, title, _, content in sections
        ),
        version=to_html(__version__),
        created=timestamps.format_to_minute(report.created),
        data=create_data_block(create_page_data(report, tables)),
    )


def _read(name: str) -> str:
    return files("bundler.bundle.audit.report").joinpath(name).read_text("utf-8")
