"""The values that a search for packages returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.audit.packages.purl import create_purl

if TYPE_CHECKING:
    from bundler.bundle.audit.packages.path_changes import PathChanges
    from bundler.oci.digest import Digest

PackageType = Literal["apk", "cargo", "deb", "gem", "golang", "maven", "npm", "pypi", "rpm"]
"""The types of https://github.com/package-url/purl-spec that are found."""

FindingCode = Literal[
    "package-file-malformed", "package-file-too-large", "package-file-unsupported"
]


@dataclass(frozen=True, slots=True)
class Package:
    """A package as its package manager, or the file that contains it, states it. Untrusted."""

    type: PackageType
    name: str
    version: str
    """The version; for rpm and deb with the epoch if there is one: ``1:2.3-4``."""
    path: str
    """The file that states the package."""
    layer: Digest
    """The layer that contains the file."""
    namespace: str = ""
    """The namespace of the purl: a distribution, the scope of npm, the group of Maven."""
    architecture: str = ""
    source_name: str = ""
    """The source package of a distribution, or empty."""
    source_version: str = ""
    licenses: tuple[str, ...] = ()
    """Licences as stated, which need not be SPDX expressions."""

    @property
    def full_name(self) -> str:
        """The name with the scope of npm or the group of Maven."""
        separator = {"npm": "/", "maven": ":"}.get(self.type)
        return (
            f"{self.namespace}{separator}{self.name}" if separator and self.namespace else self.name
        )

    @property
    def purl(self) -> str:
        """The package URL."""
        return create_purl(
            self.type, self.namespace, self.name, self.version, architecture=self.architecture
        )

    def to_json(self) -> dict[str, Any]:
        """Return the package as JSON, without empty members."""
        value: dict[str, Any] = {
            "purl": self.purl,
            "type": self.type,
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "architecture": self.architecture,
            "sourceName": self.source_name,
            "sourceVersion": self.source_version,
            "licenses": list(self.licenses),
            "path": self.path,
            "layer": self.layer.text,
        }
        return {key: item for key, item in value.items() if item}


@dataclass(frozen=True, slots=True)
class DocumentedLicenses:
    """The licences in the documentation of a Debian package."""

    name: str
    licenses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of an image, from its ``os-release``."""

    id: str
    version: str
    name: str


Statement = Package | DocumentedLicenses | Distribution
"""A fact that a file states."""


@dataclass(frozen=True, slots=True)
class PackageFinding:
    """A file that should state packages and cannot be read, so that packages may be missing."""

    code: FindingCode
    path: str
    layer: Digest
    problem: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "code": self.code,
            "path": self.path,
            "layer": self.layer.text,
            "problem": self.problem,
        }


@dataclass(slots=True)
class Evidence:
    """A file of a layer, and what it states about packages."""

    paths: list[str]
    """The path of the file, and those of its hard links."""
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class LayerPackages:
    """The statements of one layer about packages."""

    digest: Digest
    diff_id: Digest
    evidence: tuple[Evidence, ...]
    changes: PathChanges
    findings: tuple[PackageFinding, ...]
