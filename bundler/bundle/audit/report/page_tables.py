"""The tables of a page: which columns they have, and the rows that a report fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.report.image_tables import (
    list_images,
    list_layers,
    list_packages,
    list_platforms,
)
from bundler.bundle.audit.report.page_data import Column, Table
from bundler.bundle.audit.report.vulnerability_table import list_vulnerabilities
from bundler.bundle.audit.rules.finding import SEVERITIES
from bundler.errors import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.report.page_data import Row
    from bundler.bundle.audit.report.record import Report, Since

MOST_SEVERE_FIRST = tuple(reversed(SEVERITIES))


def create_tables(report: Report) -> Iterator[Table]:
    """Yield the tables in the order of the page."""
    yield list_findings(report)
    yield list_waived(report)
    if report.vulnerabilities is not None:
        yield list_vulnerabilities(report.vulnerabilities)
    if report.since is not None:
        yield list_changes(report.since)
    yield list_images(report)
    yield list_platforms(report)
    yield list_layers(report)
    yield list_packages(report)
    yield list_signatures(report)
    yield list_gaps(report)


def list_findings(report: Report) -> Table:
    """Return the violated rules, the most severe first."""
    findings = () if report.verdict is None else report.verdict.findings
    ordered = sorted(findings, key=lambda item: MOST_SEVERE_FIRST.index(item.severity))
    return Table(
        "findings",
        "Findings",
        "Violated rules that no waiver accepts, the most severe first",
        (
            Column("Severity", "choice"),
            Column("Rule", "choice"),
            Column("Image"),
            Column("Platform", "choice"),
            Column("File or package", "code"),
            Column("Problem"),
        ),
        [
            (
                item.severity,
                item.code,
                item.place.image or "(whole bundle)",
                item.place.platform,
                " ".join(
                    filter(None, (item.place.package, item.place.path and f"/{item.place.path}"))
                ),
                item.text,
            )
            for item in ordered
        ],
        "No rules were given." if report.verdict is None else "There are no findings.",
        is_static=True,
    )


def list_waived(report: Report) -> Table:
    """Return the findings that waivers accept."""
    waived = () if report.verdict is None else report.verdict.waived
    rows: list[Row] = []
    for item in waived:
        waiver = item.waiver.to_json()
        place = str(item.finding.place) or "(whole bundle)"
        rows.append(
            (
                item.finding.code,
                place,
                item.finding.text,
                waiver["reason"],
                waiver["author"],
                waiver.get("expires", ""),
            )
        )
    return Table(
        "waivers",
        "Waivers",
        "Findings that a waiver accepts",
        (
            Column("Rule", "choice"),
            Column("Place"),
            Column("Problem"),
            Column("Reason"),
            Column("Author", "choice"),
            Column("Until"),
        ),
        rows,
        "No waiver accepts a finding.",
        is_static=True,
    )


def list_changes(since: Since) -> Table:
    """Return the differences from the former bundle."""
    difference = since.difference
    rows: list[Row] = [("new", item.name, "", item.digest.text) for item in difference.added]
    rows += [("removed", item.name, item.digest.text, "") for item in difference.removed]
    rows += [
        ("other content", item.name, item.old.text, item.new.text) for item in difference.moved
    ]
    rows += [
        (
            "other referrers",
            item.name,
            count(len(item.detached), "document"),
            count(len(item.attached), "document"),
        )
        for item in difference.changed
    ]
    return Table(
        "changes",
        "Changes",
        f"Images that differ from {since.path}",
        (
            Column("Change", "choice"),
            Column("Image"),
            Column("Before", "code"),
            Column("Now", "code"),
        ),
        rows,
        "All images are the same.",
        is_static=True,
    )


def list_signatures(report: Report) -> Table:
    """Return the signatures of the bundle and of images."""
    rows: list[Row] = []
    if report.bundle is not None:
        known = {key[:16] for key, _ in report.bundle.signers}
        rows += [
            ("(the bundle)", f"{name} (key {key})" if name else f"key {key}", "verified now")
            for key, name in report.bundle.signers
        ]
        rows += [
            ("(the bundle)", f"key {key}…", "not verified")
            for key in report.bundle.stated_signers
            if key not in known
        ]
    for image in report.images:
        listed = image.audited.listed
        if listed is None:
            continue
        rows += [
            (image.audited.name, str(item), "verified by the export, as the inventory states")
            for item in listed.verified
        ]
        rows += [
            (image.audited.name, f"signature file {item.digest}", "not verified")
            for item in listed.signatures
        ]
    return Table(
        "signatures",
        "Signatures",
        "Signatures of the bundle and of images, with who signed",
        (Column("Of"), Column("Signer", "code"), Column("State", "choice")),
        rows,
        "There are no signatures.",
        is_static=True,
    )


def list_gaps(report: Report) -> Table:
    """Return what could not be read or checked."""
    return Table(
        "gaps",
        "Not read",
        "Content that could not be read, or not be checked, so that results may be missing",
        (
            Column("Image"),
            Column("Platform", "choice"),
            Column("File", "code"),
            Column("Problem"),
        ),
        [(gap.image, gap.platform, gap.path, gap.problem) for gap in report.gaps],
        "Everything was read." if report.problem is None else "Nothing was read.",
        is_static=True,
    )
