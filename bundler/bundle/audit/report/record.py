"""The content of a report. All texts may come from images, so they are untrusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.errors import count

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.audit.differences.image_lists import ListDifference
    from bundler.bundle.audit.packages.package import Package
    from bundler.bundle.audit.rules.audited import AuditedImage, AuditedPlatform
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.vulnerabilities.result import VulnerabilityReport
    from bundler.bundle.format.inventory.inventory import Inventory
    from bundler.bundle.format.inventory.sizes import Sizes
    from bundler.oci.digest import Digest

Conclusion = Literal["passes", "fails", "not-verified", "no-rules"]


@dataclass(frozen=True, slots=True)
class ReportedBundle:
    """The bundle that was audited."""

    inventory: Inventory
    digest: Digest
    """The digest of ``bundle.json``, which identifies the bundle."""
    size: int
    """The size of ``bundle.json`` in bytes."""
    signers: tuple[tuple[str, str], ...]
    """The IDs of the trusted keys that signed it, and their names or empty texts."""
    stated_signers: tuple[str, ...]
    """The first 16 digits of the key IDs in the names of signature files, which prove nothing."""


@dataclass(frozen=True, slots=True)
class Since:
    """The comparison with a former bundle, which is not authenticated."""

    path: str
    digest: Digest
    """The digest of its inventory, or of the receipt."""
    difference: ListDifference


@dataclass(frozen=True, slots=True)
class ReportedLayer:
    """A layer, or other content of images that is not a manifest."""

    digest: str
    size: int
    """The size in bytes, as stored; -1: unknown."""
    media_type: str
    images: tuple[int, ...]
    """The positions of the images that contain it, itself or in a referrer."""
    is_layer: bool = True
    """Whether it is a layer of the image of a platform; otherwise a config or part of an
    artifact."""


@dataclass(frozen=True, slots=True)
class ReportedPackage:
    """A package with the images that contain it."""

    package: Package
    """The package; its layer is one of those that state it."""
    images: int
    """The number of the images that contain it."""


@dataclass(frozen=True, slots=True)
class PackageSet:
    """The packages that one layer states and that are visible in the same images."""

    layer: int
    """The position of the layer."""
    packages: tuple[int, ...]
    """The positions of the packages, ascending."""


@dataclass(frozen=True, slots=True)
class ReportedPlatform:
    """The image of one platform."""

    audited: AuditedPlatform
    layers: tuple[int, ...]
    """The positions of its layers, the lowest first."""
    package_sets: tuple[int, ...] = ()
    """The positions of the sets that together are its packages."""

    @property
    def gap(self) -> str | None:
        """Why its layers cannot be read; None: they were read."""
        if self.audited.contents is not None:
            return None
        return self.audited.unreadable or "its layers were not read"


@dataclass(frozen=True, slots=True)
class ReportedImage:
    """A named image."""

    audited: AuditedImage
    sizes: Sizes
    """The sizes of its content, referrers included."""
    platforms: tuple[ReportedPlatform, ...] = ()
    packages: int = 0
    """The number of distinct packages of all platforms."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Content that could not be read, so that the report may be incomplete."""

    image: str
    platform: str
    path: str
    """The file in the image; empty: all files of the platform, or the whole image."""
    problem: str
    """Why it could not be read, or not be compared with the database of vulnerabilities."""


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a report."""

    location: str
    created: datetime
    """The time of the audit."""
    bundle: ReportedBundle | None = None
    """None: the location is not a bundle, or could not be opened."""
    problem: str | None = None
    """The error that ended the audit, so that there is no other result; None: there was none."""
    verdict: Verdict | None = None
    """The result of the rules; None: no rules were given."""
    images: tuple[ReportedImage, ...] = ()
    layers: tuple[ReportedLayer, ...] = ()
    packages: tuple[ReportedPackage, ...] = ()
    package_sets: tuple[PackageSet, ...] = ()
    gaps: tuple[Gap, ...] = ()
    total_size: int = 0
    """The size of all distinct content except manifests, in bytes."""
    since: Since | None = None
    """None: no former bundle was given."""
    vulnerabilities: VulnerabilityReport | None = None
    """The known vulnerabilities of the packages; None: no check was made."""

    @property
    def is_authenticated(self) -> bool:
        """Whether trusted keys signed the inventory."""
        return self.bundle is not None and bool(self.bundle.signers)

    @property
    def conclusion(self) -> Conclusion:
        """The verdict in one word: violated rules come before missing signatures."""
        if self.problem is not None:
            return "not-verified"
        if self.verdict is None:
            return "no-rules"
        if self.verdict.failures:
            return "fails"
        return "not-verified" if self.bundle is not None and not self.bundle.signers else "passes"

    @property
    def reason(self) -> str:
        """The reason of the conclusion; one or more sentences."""
        if self.problem is not None:
            return f"The audit ended with an error: {self.problem}"
        if self.verdict is None:
            return "No rules were given, so the report only lists the content."
        rules, failures = self.verdict.rules, len(self.verdict.failures)
        if failures:
            return (
                f"{count(failures, 'finding')} with the severity {rules.fail_on}"
                f"{'' if rules.fail_on == 'error' else ' or a higher one'}."
            )
        met = (
            f"No finding with the severity {rules.fail_on} among {count(len(rules.rules), 'rule')}"
        )
        if self.bundle is None:
            return f"{met}. The location is not a bundle, so it has no signed inventory."
        if not self.bundle.signers:
            return (
                f"{met}, but the signatures of the bundle were not verified: no key was given"
                " (--key, --trust)."
            )
        return f"{met}, and trusted keys signed the bundle."
