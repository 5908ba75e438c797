"""Compare the packages that were read for rules with a database of vulnerabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.vulnerabilities.files import VulnerabilityFiles
    from bundler.cancel import Cancellation


def add_vulnerabilities(
    audited: AuditedLocation,
    files: VulnerabilityFiles,
    cancellation: Cancellation,
) -> AuditedLocation:
    """Check the packages of all platforms whose layers were read.

    Raises:
        BundlerError: a file cannot be read, see ``VulnerabilityFiles.check``.
    """
    packages = [
        contents.packages
        if contents.claims is None or isinstance(contents.claims, str)
        else replace(contents.packages, claims=contents.claims)
        for image in audited.images
        for contents in (platform.contents for platform in image.platforms)
        if contents is not None
    ]
    report = files.check(packages, cancellation)
    results = iter(report.images)
    images = []
    for image in audited.images:
        platforms = [
            platform
            if platform.contents is None
            else replace(
                platform, contents=replace(platform.contents, vulnerabilities=next(results))
            )
            for platform in image.platforms
        ]
        images.append(replace(image, platforms=tuple(platforms)))
    return replace(audited, images=tuple(images), vulnerabilities=report)
