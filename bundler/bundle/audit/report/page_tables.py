"""The tables of a page: which columns they have, and the rows that a report fills in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.report.page_data import Column, Table
from bundler.bundle.audit.report.vulnerability_table import list_vulnerabilities
from bundler.bundle.audit.rules.finding import SEVERITIES
from bundler.errors import count

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.report.page_data import Fact, Row
    from bundler.bundle.audit.report.record import (
        Report,
        ReportedImage,
        ReportedPlatform,
        Since,
    )

MOST_SEVERE_FIRST = tuple(reversed(SEVERITIES))
_SHORT_TYPES = {
    "application/vnd.oci.image.config.v1+json": "config",
    "application/vnd.docker.container.image.v1+json": "config",
}
_MAX_LABELS = 100
"""The maximum number of labels of one platform in a page."""


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


def list_images(report: Report) -> Table:
    """Return the images, with the findings about each."""
    findings: dict[str, int] = {}
    for item in () if report.verdict is None else report.verdict.findings:
        findings[item.place.image] = findings.get(item.place.image, 0) + 1
    return Table(
        "images",
        "Images",
        "Images with the size of their content, and the part of it that no other image has",
        (
            Column("Image"),
            Column("Platforms"),
            Column("Size", "size"),
            Column("Only here", "size"),
            Column("Packages", "count"),
            Column("Findings", "count"),
        ),
        [
            (
                image.audited.name,
                ", ".join(platform.audited.name for platform in image.platforms)
                or ", ".join(filter(None, image.audited.artifact_types))
                or "unknown",
                image.sizes.size,
                image.sizes.unique,
                image.packages,
                findings.get(image.audited.name, 0),
            )
            for image in report.images
        ],
        "There are no images.",
        facts=[list(_list_image_facts(image)) for image in report.images],
        is_static=True,
    )


def _list_image_facts(image: ReportedImage) -> Iterator[Fact]:
    audited, listed = image.audited, image.audited.listed
    if audited.digest is not None:
        yield "Digest", audited.digest.text
    if audited.unreadable is not None:
        yield "Not read", audited.unreadable
    if listed is None:
        return
    stated = {
        "Requested by": listed.origin,
        "Served by": listed.source,
        "Target name": listed.rename,
        "Replaces": listed.replaces and listed.replaces.text,
    }
    yield from ((label, text) for label, text in stated.items() if text)
    for referrer in listed.referrers:
        yield "Referrer", f"{referrer.artifact_type or referrer.media_type} {referrer.digest}"
    for name in listed.left_behind:
        yield "Left out", f"referrer {name}"
    for layer in listed.absent_layers or ():
        yield "Left out", f"foreign layer {layer.digest}"


def list_platforms(report: Report) -> Table:
    """Return the image of each platform."""
    pairs = [(image, platform) for image in report.images for platform in image.platforms]
    rows: list[Row] = []
    for image, platform in pairs:
        properties, contents = platform.audited.properties, platform.audited.contents
        distribution = contents and contents.packages.distribution
        size, user = platform.audited.size, properties.user or "root"
        if properties.runs_as_root and user != "root":  # under another name, such as 0
            user += " (root)"
        rows.append(
            (
                image.audited.name,
                platform.audited.name,
                (distribution and (distribution.name or distribution.id)) or "",
                user,
                (properties.created or "")[:10],
                len(platform.layers),
                -1 if size is None else size,
            )
        )
    return Table(
        "platforms",
        "Platforms",
        "The image of each platform, as its config states it",
        (
            Column("Image"),
            Column("Platform", "choice"),
            Column("Distribution", "choice"),
            Column("User"),
            Column("Created"),
            Column("Layers", "count"),
            Column("Size", "size"),
        ),
        rows,
        "No image is a container image.",
        facts=[list(_list_platform_facts(platform, report)) for _, platform in pairs],
    )


def _list_platform_facts(platform: ReportedPlatform, report: Report) -> Iterator[Fact]:
    properties = platform.audited.properties.hide_secrets()
    yield "Digest", platform.audited.image.digest.text
    if platform.gap is not None:
        yield "Not read", platform.gap
    if properties.base:
        yield "Base image, as the author states", properties.base
    for label, words in (("Entry point", properties.entrypoint), ("Command", properties.command)):
        if words:
            yield label, " ".join(words)
    if properties.ports:
        yield "Ports", ", ".join(properties.ports)
    for number in platform.layers:
        yield "Layer", report.layers[number].digest
    for label in list(properties.labels)[:_MAX_LABELS]:
        yield f"Label {label}", properties.labels[label]
    if len(properties.labels) > _MAX_LABELS:
        yield "More labels", f"{len(properties.labels) - _MAX_LABELS:,}, which are not listed here"


def list_layers(report: Report) -> Table:
    """Return the distinct content, with the images that contain it."""
    packages: dict[int, set[int]] = {}
    for each in report.package_sets:
        packages.setdefault(each.layer, set()).update(each.packages)
    return Table(
        "layers",
        "Layers",
        "Distinct content of all images, the largest first",
        (
            Column("Digest", "code"),
            Column("Content", "choice"),
            Column("Size", "size"),
            Column("Images", "count"),
            Column("Packages", "count"),
        ),
        [
            (
                layer.digest,
                "layer" if layer.is_layer else _SHORT_TYPES.get(layer.media_type, layer.media_type),
                layer.size,
                len(layer.images),
                len(packages.get(number, ())),
            )
            for number, layer in enumerate(report.layers)
        ],
        "No content was read.",
        relation="layers",
    )


def list_packages(report: Report) -> Table:
    """Return the distinct packages, with the images that contain them."""
    return Table(
        "packages",
        "Packages",
        "Packages that the images state, with the number of images that contain them",
        (
            Column("Package"),
            Column("Version"),
            Column("Type", "choice"),
            Column("Licences"),
            Column("Images", "count"),
            Column("Stated by", "code"),
        ),
        [
            (
                each.package.full_name,
                each.package.version,
                each.package.type,
                ", ".join(each.package.licenses),
                each.images,
                f"/{each.package.path}",
            )
            for each in report.packages
        ],
        "The images state no packages.",
        relation="packages",
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
