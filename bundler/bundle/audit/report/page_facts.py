"""The facts that tie a page to the bundle, the rules and the former bundle, as HTML."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bundler import __version__
from bundler.bundle.audit.report.page_tables import MOST_SEVERE_FIRST
from bundler.bundle.audit.report.vulnerability_table import describe_database
from bundler.bundle.markup import create_element, to_html
from bundler.errors import count, format_size
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bundler.bundle.audit.report.record import Report, ReportedBundle
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.vulnerabilities.result import VulnerabilityReport

HtmlFact = tuple[str, str]
"""A label, and its content as HTML."""


def show_facts(report: Report) -> str:
    """Return the list of facts."""
    found = "".join(
        f"<div><dt>{label}</dt><dd>{content}</dd></div>" for label, content in _list_facts(report)
    )
    return f'<dl class="facts">{found}</dl>'


def _list_facts(report: Report) -> Iterator[HtmlFact]:
    if report.problem is None:
        yield (
            "Content",
            to_html(
                f"{count(len(report.images), 'image')}, {format_size(report.total_size)},"
                f" {count(len(report.packages), 'package')}"
            ),
        )
    if report.verdict is not None:
        yield "Findings", to_html(_count_findings(report.verdict))
    if report.bundle is not None:
        yield from _list_bundle_facts(report.bundle, report.created)
    if report.verdict is not None:
        yield "Rules file", _show_digest(report.verdict.rules.digest)
    if report.since is not None:
        since = report.since
        yield "Compared with", f"{to_html(since.path)} {_show_digest(since.digest)}"
    if report.vulnerabilities is not None:
        yield from _list_databases(report.vulnerabilities)
    elif report.problem is None:
        yield "Vulnerabilities", "not checked"
    created = timestamps.format_to_minute(report.created)
    yield "Audited", to_html(f"{created}, airbundle {__version__}")


def _count_findings(verdict: Verdict) -> str:
    number = Counter(item.severity for item in verdict.findings)
    parts = [count(number[name], name) for name in MOST_SEVERE_FIRST if number[name]]
    waived = f"; {len(verdict.waived):,} waived" if verdict.waived else ""
    return f"{', '.join(parts) or 'none'}{waived}"


def _list_bundle_facts(bundle: ReportedBundle, now: datetime) -> Iterator[HtmlFact]:
    inventory = bundle.inventory
    end = ""
    if inventory.expires is not None:
        word = "expired" if inventory.is_expired(now) else "expires"
        end = f", {word} {timestamps.format_to_minute(inventory.expires)}"
    created = timestamps.format_to_minute(inventory.created)
    yield "Bundle", to_html(f"serial {inventory.serial}, created {created}{end}")
    if not inventory.complete:
        yield "Complete", "No: the export left out images or layers that it could not read"
    signers = [name or f"key {key[:16]}" for key, name in bundle.signers]
    yield "Signed by", to_html(", ".join(signers) or "not verified: no key was given")
    yield "bundle.json", _show_digest(bundle.digest)


def _list_databases(found: VulnerabilityReport) -> Iterator[HtmlFact]:
    text = to_html(describe_database(found))
    yield "Vulnerabilities", f"{text} {_show_digest(found.database.digest)}"
    for kind, item in found.exploits.items():
        date = f", released {item['released']}" if item["released"] else ", no date"
        text = to_html(f"{item['path']}{date}")
        yield kind.upper(), f"{text} {_show_digest(item['digest'])}"


def _show_digest(digest: object) -> str:
    return create_element("code", to_html(str(digest)))
