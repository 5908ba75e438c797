"""The values that a check for vulnerabilities returns. All texts are untrusted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.audit.packages.claims.vex import VexStatement
    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.packages.package import Package
    from bundler.bundle.audit.vulnerabilities.levels import Level
    from bundler.oci.digest import Digest

ProblemCode = Literal["record-malformed", "record-too-large", "record-unsupported"]


@dataclass(frozen=True, slots=True)
class Severity:
    """The severity of a vulnerability, as its record states it."""

    level: Level = "unknown"
    score: float | None = None
    """The CVSS base score, from 0 to 10; None: the record has no vector."""
    vector: str = ""
    """The CVSS vector of the score, or empty."""

    def __str__(self) -> str:
        return self.level if self.score is None else f"{self.level} {self.score:.1f}"


@dataclass(frozen=True, slots=True)
class KnownExploit:
    """An entry of CISA's catalog of exploited vulnerabilities (KEV)."""

    cve: str
    added: str
    """The date at which it was added, ``2024-01-31``, or empty."""
    ransomware: bool = False
    """Whether it is known to be used for ransomware."""


@dataclass(frozen=True, slots=True)
class StatedClaim:
    """A statement of a sender about a vulnerability."""

    document: Digest
    """The digest of its document."""
    statement: VexStatement
    signer: str = ""
    """The trusted signer; empty: none, or not verified, so that it changes nothing."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A vulnerability of one package of an image."""

    id: str
    """The ID of the record: ``DSA-5000-1``, ``GHSA-…``, ``CVE-…``."""
    aliases: tuple[str, ...]
    """Other IDs of it, with CVE IDs first."""
    package: Package
    """The package, with the file that states it and the layer of the file."""
    ecosystem: str
    """The ecosystem of OSV that the record names: ``Debian:12``, ``PyPI``."""
    severity: Severity
    fixed: tuple[str, ...]
    """The versions that fix it, which may belong to several branches; empty: none is known."""
    summary: str
    """One line of plain text, which may be empty."""
    modified: str = ""
    """The time of the last change of the record, as it states it."""
    exploit: KnownExploit | None = None
    """The entry in the catalog of exploited vulnerabilities; None: there is none, or no catalog."""
    probability: float | None = None
    """The probability of an exploit within 30 days (EPSS), from 0 to 1; None: unknown."""
    claims: tuple[StatedClaim, ...] = ()
    """The first statements of the sender about it."""
    accepted: StatedClaim | None = None
    """The statement of a trusted signer by which it is accepted; None: there is none."""

    @property
    def name(self) -> str:
        """The ID that is shown: the first CVE ID, or that of the record."""
        return next((text for text in self.ids if text.startswith("CVE-")), self.id)

    @property
    def ids(self) -> tuple[str, ...]:
        """All IDs."""
        return (self.id, *self.aliases)

    def to_json(self) -> dict[str, Any]:
        """Return the vulnerability as JSON, without empty members."""
        value: dict[str, Any] = {
            "id": self.id,
            "aliases": list(self.aliases),
            "ecosystem": self.ecosystem,
            "purl": self.package.purl,
            "package": self.package.full_name,
            "version": self.package.version,
            "path": self.package.path,
            "layer": self.package.layer.text,
            "severity": self.severity.level,
            "score": self.severity.score,
            "vector": self.severity.vector,
            "fixed": list(self.fixed),
            "summary": self.summary,
            "modified": self.modified,
            "probability": self.probability,
        }
        if self.exploit is not None:
            value["exploited"] = {
                "cve": self.exploit.cve,
                "added": self.exploit.added,
                "ransomware": self.exploit.ransomware,
            }
        value["claims"] = [
            {
                "status": stated.statement.status,
                "justification": stated.statement.justification,
                "document": stated.document.text,
                **({"signer": stated.signer} if stated.signer else {}),
            }
            for stated in self.claims
        ]
        return {key: item for key, item in value.items() if item not in ("", [], None)}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many packages of an image were checked in one ecosystem."""

    ecosystem: str
    """The ecosystem of OSV, ``Debian:12``; the type of the packages if OSV has none for them."""
    checked: int
    unchecked: int
    reason: str = ""
    """Why packages were not checked; empty: all were."""
    records: int = 0
    """The number of records of the database for the ecosystem."""
    modified: datetime | None = None
    """The newest time at which a record for any release of the ecosystem was changed."""

    def to_json(self) -> dict[str, Any]:
        """Return the coverage as JSON."""
        value: dict[str, Any] = {
            "ecosystem": self.ecosystem,
            "checked": self.checked,
            "unchecked": self.unchecked,
            "records": self.records,
            "modified": self.modified and timestamps.format_utc(self.modified),
            "reason": self.reason,
        }
        return {key: item for key, item in value.items() if item not in ("", None)}


@dataclass(frozen=True, slots=True)
class UncheckedRecord:
    """A record that could not be compared with a package, so that it may be vulnerable."""

    id: str
    package: Package
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return {
            "id": self.id,
            "purl": self.package.purl,
            "path": self.package.path,
            "layer": self.package.layer.text,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """A record of the database that cannot be read."""

    code: ProblemCode
    path: str
    """The file; in an archive after its path and ``!/``."""
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem} [{self.code}]"

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON."""
        return {"code": self.code, "path": self.path, "problem": self.problem}


@dataclass(frozen=True, slots=True)
class DatabaseSummary:
    """The database that was used."""

    path: str
    digest: Digest
    """The digest of the file; for a directory, that of the list of digests and paths that
    ``sha256sum`` writes for its files in the order of their paths."""
    modified: datetime | None
    """The newest time at which a record was changed; None: there is no record."""
    records: int
    """The number of records, without those that were withdrawn."""
    withdrawn: int = 0
    unreadable: int = 0
    """The number of records that cannot be read."""
    problems: tuple[RecordProblem, ...] = ()
    """The first of the records that cannot be read."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON."""
        return {
            "path": self.path,
            "digest": self.digest.text,
            "modified": self.modified and timestamps.format_utc(self.modified),
            "records": self.records,
            "withdrawn": self.withdrawn,
            "unreadable": self.unreadable,
            "problems": [problem.to_json() for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class ImageVulnerabilities:
    """The vulnerabilities of one image, for one platform."""

    packages: ImagePackages
    vulnerabilities: tuple[Vulnerability, ...]
    """The vulnerabilities, the most severe first, then by package."""
    coverage: tuple[Coverage, ...]
    """How many packages were checked, by ecosystem."""
    unchecked: tuple[UncheckedRecord, ...] = ()
    """Records that could not be compared with a package."""

    @property
    def is_complete(self) -> bool:
        """Whether packages were found, and each was compared with every record about it."""
        return bool(self.packages.packages) and not (
            self.unchecked
            or self.packages.findings
            or any(item.unchecked for item in self.coverage)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the vulnerabilities as JSON."""
        value: dict[str, Any] = {
            "name": self.packages.name,
            "digest": self.packages.image.digest.text,
        }
        if self.packages.image.platform is not None:
            value["platform"] = str(self.packages.image.platform)
        return value | {
            "complete": self.is_complete,
            "vulnerabilities": [item.to_json() for item in self.vulnerabilities],
            "coverage": [item.to_json() for item in self.coverage],
            "unchecked": [item.to_json() for item in self.unchecked],
            "findings": [item.to_json() for item in self.packages.findings],
        }


@dataclass(frozen=True, slots=True)
class VulnerabilityReport:
    """The result of a check: the database, and the images in the order in which they were given."""

    database: DatabaseSummary
    images: tuple[ImageVulnerabilities, ...]
    exploits: dict[str, Any] = field(default_factory=dict)
    """The files of exploits that were used, as JSON: ``kev`` and ``epss`` with path and digest."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "database": self.database.to_json(),
            **self.exploits,
            "images": [image.to_json() for image in self.images],
        }
