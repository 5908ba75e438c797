"""Compare the packages of images with the records of a database, in one pass over the records."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.vulnerabilities.affected import compare
from bundler.bundle.audit.vulnerabilities.claims import add_claims
from bundler.bundle.audit.vulnerabilities.database.osv import (
    MAX_ECOSYSTEM,
    Record,
    RecordError,
    parse_record,
)
from bundler.bundle.audit.vulnerabilities.database.read_database import DatabaseReader
from bundler.bundle.audit.vulnerabilities.exploits import Exploits
from bundler.bundle.audit.vulnerabilities.merge import merge_aliases
from bundler.bundle.audit.vulnerabilities.result import (
    Coverage,
    DatabaseSummary,
    ImageVulnerabilities,
    UncheckedRecord,
    Vulnerability,
    VulnerabilityReport,
)
from bundler.bundle.audit.vulnerabilities.severity import read_severity
from bundler.bundle.audit.vulnerabilities.targets import find_target, normalize_name
from bundler.errors import LimitError, UnexpectedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.bundle.audit.packages.image_packages import ImagePackages
    from bundler.bundle.audit.vulnerabilities.targets import Ecosystem, Target
    from bundler.cancel import Cancellation

MAX_FOUND = 200_000
"""The maximum number of vulnerabilities and unchecked records of all images."""
MAX_ECOSYSTEMS = 50_000
"""The maximum number of ecosystems that a database names."""
_NO_EXPLOITS = Exploits()


def check_packages(
    images: Sequence[ImagePackages],
    database: Path,
    cancellation: Cancellation,
    exploits: Exploits = _NO_EXPLOITS,
) -> VulnerabilityReport:
    """Compare the packages of images with a database.

    Args:
        images: the images, as ``read_packages`` returns them.
        database: a JSON file of OSV, a zip archive or a directory of these.
        cancellation: ends the check.
        exploits: the lists of exploits, see ``read_exploits``.

    Raises:
        NotFoundError, MediumError: the database cannot be read.
        UnexpectedFileError: the database has no record that can be read, so that nothing was
            compared.
        MalformedError: an archive or the scores are damaged.
        LimitError: the database is too large, or names too many vulnerabilities.
    """
    targets = [
        [find_target(package, image.distribution) for package in image.packages] for image in images
    ]
    check = _Check(targets, DatabaseReader(database, cancellation))
    check.run()
    found = list(chain.from_iterable(check.found.values()))
    cves = {cve for item in found for cve in item.cves}
    probabilities = exploits.find_probabilities(cves)
    for item in found:
        item.vulnerability = replace(
            item.vulnerability,
            exploit=exploits.find_exploit(item.cves),
            probability=max(
                (probabilities[cve] for cve in item.cves if cve in probabilities), default=None
            ),
        )
    results = tuple(check.summarize(number, image) for number, image in enumerate(images))
    return VulnerabilityReport(check.summarize_database(), results, exploits.documents)


@dataclass(slots=True)
class _Found:
    vulnerability: Vulnerability
    cves: tuple[str, ...]


@dataclass(slots=True)
class _Check:
    """One pass over the records."""

    targets: list[list[Target]]
    """The packages of each image."""
    reader: DatabaseReader
    found: defaultdict[int, list[_Found]] = field(default_factory=lambda: defaultdict(list))
    """The vulnerabilities by the number of the image."""
    unchecked: defaultdict[int, list[UncheckedRecord]] = field(
        default_factory=lambda: defaultdict(list)
    )
    matches: int = 0
    """The number of all ``found`` and ``unchecked``."""
    records: int = 0
    withdrawn: int = 0
    modified: str = ""
    ecosystems: Counter[str] = field(default_factory=Counter)
    """The number of records by the ecosystems that they name."""
    newest: dict[str, str] = field(default_factory=dict)
    """The newest change of a record by ecosystem, without release."""
    _counted: dict[Ecosystem, int] = field(default_factory=dict)

    def run(self) -> None:
        """Read all records."""
        index: dict[tuple[str, str], list[tuple[int, Target]]] = {}
        for number, targets in enumerate(self.targets):
            for target in targets:
                for name in target.names:
                    key = target.ecosystem.base, name
                    index.setdefault(key, []).append((number, target))
        for path, raw in self.reader.read():
            try:
                record = parse_record(raw)
                self.modified = max(self.modified, record.modified)
                named = {_read_ecosystem(entry)[0] for entry in record.affected}
                for ecosystem in named:
                    base = ecosystem.partition(":")[0]
                    self.newest[base] = max(self.newest.get(base, ""), record.modified)
                if record.is_withdrawn:
                    self.withdrawn += 1
                else:
                    self.records += 1
                self.ecosystems.update(named)
                if len(self.ecosystems) > MAX_ECOSYSTEMS:
                    raise LimitError(
                        f"{self.reader.path}: too many ecosystems ({MAX_ECOSYSTEMS:,})"
                    )
                for number, target, entry in _find_entries(record, index):
                    self._compare(record, number, target, entry)
            except RecordError as error:
                self.reader.add_problem("record-malformed", path, str(error))
        if not self.records + self.withdrawn:
            problems = f", but {self.reader.problems[0]}" if self.reader.problems else ""
            raise UnexpectedFileError(
                str(self.reader.path),
                f"contains no records of vulnerabilities{problems}",
                "OSV records: JSON files, zip archives, or a directory of these",
            )

    def _compare(self, record: Record, number: int, target: Target, entry: dict[str, Any]) -> None:
        compared = compare(target, entry)
        if compared.uncertain:
            unchecked = UncheckedRecord(record.id, target.package, compared.uncertain)
            self.unchecked[number].append(unchecked)
            self.matches += 1
        elif compared.is_affected:
            aliases = record.aliases
            vulnerability = Vulnerability(
                id=record.id,
                aliases=aliases
                + tuple(cve for cve in record.related_cves if cve not in (record.id, *aliases)),
                package=target.package,
                ecosystem=target.ecosystem.name,
                severity=read_severity(record.members, entry),
                fixed=compared.fixed,
                summary=record.summary,
                modified=record.modified + "Z",
            )
            self.found[number].append(_Found(vulnerability, record.related_cves))
            self.matches += 1
        if self.matches > MAX_FOUND:
            raise LimitError(
                f"{self.reader.path}: too many vulnerabilities (expected at most {MAX_FOUND:,});"
                " check fewer images at once"
            )

    def summarize(self, number: int, image: ImagePackages) -> ImageVulnerabilities:
        """Return the result for one image."""
        own = [item.vulnerability for item in self.found[number]]
        merged = add_claims(merge_aliases(own), image.claims or ())
        by_ecosystem: dict[Ecosystem, list[Target]] = {}
        for target in self.targets[number]:
            by_ecosystem.setdefault(target.ecosystem, []).append(target)
        coverage = []
        for ecosystem, targets in by_ecosystem.items():
            records = self._count_records(ecosystem)
            if not ecosystem.base or not records:
                reason = ecosystem.reason or "the database has no records for the ecosystem"
                coverage.append(Coverage(ecosystem.name, 0, len(targets), reason))
                continue
            problems = [target.problem for target in targets if target.problem]
            reason = "; ".join(sorted(set(problems)))
            modified = _parse_time(self.newest.get(ecosystem.base, ""))
            checked = len(targets) - len(problems)
            coverage.append(
                Coverage(ecosystem.name, checked, len(problems), reason, records, modified)
            )
        return ImageVulnerabilities(
            image,
            merged,
            tuple(coverage),
            tuple(self.unchecked[number]),
        )

    def _count_records(self, ecosystem: Ecosystem) -> int:
        """Return the number of records about an ecosystem, which most images have in common."""
        if ecosystem not in self._counted:
            self._counted[ecosystem] = sum(
                count for name, count in self.ecosystems.items() if ecosystem.includes(name)
            )
        return self._counted[ecosystem]

    def summarize_database(self) -> DatabaseSummary:
        """Return the summary of the database."""
        return DatabaseSummary(
            path=str(self.reader.path),
            digest=self.reader.digest,
            modified=_parse_time(self.modified),
            records=self.records,
            withdrawn=self.withdrawn,
            unreadable=self.reader.unreadable,
            problems=tuple(self.reader.problems),
        )


def _find_entries(
    record: Record, index: dict[tuple[str, str], list[tuple[int, Target]]]
) -> Iterator[tuple[int, Target, dict[str, Any]]]:
    """Yield the packages that a record names, with the entries that do so."""
    if record.is_withdrawn:
        return
    entries: dict[tuple[int, int], tuple[int, Target, list[tuple[str, dict[str, Any]]]]] = {}
    for entry in record.affected:
        ecosystem, name = _read_ecosystem(entry)
        base = ecosystem.partition(":")[0]
        # An entry of SUSE may name the packages that a source package has.
        specific = entry.get("ecosystem_specific") if base in ("SUSE", "openSUSE") else None
        binaries = specific.get("binaries") if isinstance(specific, dict) else None
        for number, target in index.get((base, normalize_name(base, name)), ()):
            has_package = not isinstance(binaries, list) or any(
                isinstance(item, dict) and target.package.name in item for item in binaries
            )
            if target.ecosystem.includes(ecosystem) and not target.problem and has_package:
                key = number, id(target)
                entries.setdefault(key, (number, target, []))[2].append((ecosystem, entry))
    for number, target, named in entries.values():
        standard = [item for item in named if not item[0].startswith("Ubuntu:Pro:")]
        for _, entry in standard or named:  # those of Ubuntu Pro are for subscribers
            yield number, target, entry


def _read_ecosystem(entry: dict[str, Any]) -> tuple[str, str]:
    """Return the ecosystem and the name of the package of an entry; empty texts if it has none."""
    package = entry.get("package")
    if package is None:
        return "", ""
    if not isinstance(package, dict):
        raise RecordError("package is not an object")
    ecosystem, name = package.get("ecosystem"), package.get("name")
    if not isinstance(ecosystem, str) or not isinstance(name, str):
        raise RecordError("a package has no ecosystem or no name")
    return ecosystem[:MAX_ECOSYSTEM], name


def _parse_time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
