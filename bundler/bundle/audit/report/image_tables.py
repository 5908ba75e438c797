"""The tables of a page about the images: their platforms, their layers, and their packages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.report.page_data import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.report.page_data import Fact, Row
    from bundler.bundle.audit.report.record import Report, ReportedImage, ReportedPlatform

_SHORT_TYPES = {
    "application/vnd.oci.image.config.v1+json": "config",
    "application/vnd.docker.container.image.v1+json": "config",
}
_MAX_LABELS = 100
"""The maximum number of labels of one platform in a page."""


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
        [_create_platform_row(image, platform) for image, platform in pairs],
        "No image is a container image.",
        facts=[list(_list_platform_facts(platform, report)) for _, platform in pairs],
    )


def _create_platform_row(image: ReportedImage, platform: ReportedPlatform) -> Row:
    properties, contents = platform.audited.properties, platform.audited.contents
    distribution = contents and contents.packages.distribution
    size, user = platform.audited.size, properties.user or "root"
    if properties.runs_as_root and user != "root":  # under another name, such as 0
        user += " (root)"
    return (
        image.audited.name,
        platform.audited.name,
        (distribution and (distribution.name or distribution.id)) or "",
        user,
        (properties.created or "")[:10],
        len(platform.layers),
        -1 if size is None else size,
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
