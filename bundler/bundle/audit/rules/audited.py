"""The values that rules read: a location, its images, and their platforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.errors import LimitError, MalformedError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.audit.image_properties import ImageProperties
    from bundler.bundle.audit.layers.noted_files import NotedFile
    from bundler.bundle.audit.packages.claims.claims import Claim
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.bundle.audit.rules.programs import LayerResult
    from bundler.bundle.audit.vulnerabilities.result import (
        ImageVulnerabilities,
        VulnerabilityReport,
    )
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.copy.image import ResolvedImage
    from bundler.oci.digest import Digest
    from bundler.oci.reference import ImageReference

Depth = Literal["names", "manifests", "contents"]
"""The content that a rule reads: references and the inventory; these, manifests and
configs; or these and layers."""

Extra = Literal["directory", "claims", "vulnerabilities"]
"""Content that only few rules read: the list of files in the directory of a bundle; the SBOMs and
attestations that came with images; the database of vulnerabilities."""

UNREADABLE = (NotFoundError, LimitError, UnsupportedError, MalformedError)
"""Errors of content that is absent or has another form than expected: the rules that need it are
not evaluated, and the audit continues. Content that does not match its digest ends the audit."""


@dataclass(frozen=True, slots=True)
class PlatformContents:
    """The files and packages of the image of one platform."""

    packages: ImagePackages
    files: tuple[NotedFile, ...]
    """The files that rules may object to, by path."""
    diff_ids: tuple[str, ...]
    """The digests of the uncompressed layers, as read."""
    is_truncated: bool
    """Whether a layer has so many of them that some are missing."""
    claims: tuple[Claim, ...] | str | None = None
    """The SBOMs and attestations about the image, compared with its packages; a text: why they
    cannot be read; None: no rule needs them."""
    programs: Mapping[str, tuple[LayerResult, ...]] = field(default_factory=dict, hash=False)
    """The results of the programs that were run on the layers, by their names."""
    vulnerabilities: ImageVulnerabilities | None = None
    """The vulnerabilities of the packages; None: no database was given, or no rule needs it."""


@dataclass(frozen=True, slots=True)
class AuditedPlatform:
    """The image of one platform."""

    image: PlatformImage
    properties: ImageProperties
    """The statements of its config, by the author of the image."""
    contents: PlatformContents | None = None
    """None: the layers were not read."""
    unreadable: str | None = None
    """Why layers cannot be read; None: they were read, or no rule needs them."""

    @property
    def name(self) -> str:
        """The platform as text."""
        return str(self.properties.platform)

    @property
    def size(self) -> int | None:
        """The size of the config and the layers in bytes, as stored; None: unknown."""
        manifest = self.image.manifest
        sizes = [item.size for item in (manifest.config, *manifest.layers)]
        return None if min(sizes) < 0 else sum(sizes)


@dataclass(frozen=True, slots=True)
class AuditedImage:
    """A named image, with what was read of it."""

    name: str
    """The full name in the inventory, or the reference with its transport."""
    reference: ImageReference | None
    """None: the image has no name in a registry."""
    listed: BundledImage | None
    """The entry in the inventory; None: the image is not part of a bundle."""
    digest: Digest | None = None
    """The digest of the root; None: it was not read."""
    artifact_types: tuple[str, ...] = ()
    """The types of the manifests that are not container images; empty texts for those without a
    type."""
    platforms: tuple[AuditedPlatform, ...] = ()
    referrer_types: tuple[str, ...] = ()
    """The artifact types of the referrers, sorted; empty texts for those without one."""
    unreadable: str | None = None
    """Why manifests or configs cannot be read; None: they were read, or no rule needs them."""
    resolved: ResolvedImage | None = field(default=None, compare=False, repr=False)
    """The manifests, and those of the referrers; None: they were not read."""

    @property
    def is_artifact(self) -> bool:
        """Whether no part of it is a container image."""
        return bool(self.artifact_types) and not self.platforms


@dataclass(frozen=True, slots=True)
class AuditedLocation:
    """A bundle or another location of images, with what was read of it."""

    location: str
    now: datetime
    """The time of the audit, with which ages and expiries are compared."""
    images: tuple[AuditedImage, ...]
    inventory: Inventory | None = None
    """None: the location is not a bundle."""
    is_authenticated: bool = False
    """Whether trusted keys signed the inventory; False if the signatures were not verified."""
    former: ImageList | None = None
    """The images of a former bundle, by name; None: none was given."""
    total_size: int | None = None
    """The size of the distinct configs and layers in bytes; None: the manifests were not read."""
    unlisted: tuple[str, ...] | str | None = None
    """The files in the directory of a bundle that its inventory does not list; a text: why they
    are not known; None: no rule needs them."""
    vulnerabilities: VulnerabilityReport | None = None
    """The check for vulnerabilities; None: no database was given, or no rule needs it."""
