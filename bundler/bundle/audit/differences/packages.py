"""Compare the packages of two images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.packages.package import PackageFinding


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package whose versions differ; one image may have several versions of it, or none."""

    type: str
    name: str
    """The name with the scope of npm or the group of Maven."""
    old: tuple[str, ...]
    new: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON."""
        return {
            "type": self.type,
            "name": self.name,
            "old": list(self.old),
            "new": list(self.new),
        }


@dataclass(frozen=True, slots=True)
class PackageDifference:
    """The difference between the packages of two images."""

    changes: tuple[PackageChange, ...]
    findings: tuple[PackageFinding, ...]
    """The files of both images that cannot be read, so that changes may be missing."""


def compare_packages(old: ImagePackages, new: ImagePackages) -> PackageDifference:
    """Compare the packages of two images by type and name."""
    before, after = _group_versions(old), _group_versions(new)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old_versions, new_versions = (
            tuple(sorted(versions.get(key, ()))) for versions in (before, after)
        )
        if old_versions != new_versions:
            changes.append(PackageChange(*key, old_versions, new_versions))
    findings = dict.fromkeys((*old.findings, *new.findings))
    return PackageDifference(tuple(changes), tuple(findings))


def _group_versions(image: ImagePackages) -> dict[tuple[str, str], set[str]]:
    """Return the versions of each package, by type and name."""
    versions: dict[tuple[str, str], set[str]] = {}
    for package in image.packages:
        versions.setdefault((package.type, package.full_name), set()).add(package.version)
    return versions
