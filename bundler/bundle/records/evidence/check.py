"""Check that all evidence that the log names is there, and has its digest."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.records.evidence import document, objects
from bundler.bundle.records.evidence.objects import Unread
from bundler.bundle.records.restore import read_former_logs
from bundler.errors import DamagedEvidenceError, MissingEvidenceError, count

if TYPE_CHECKING:
    from bundler.bundle.records.site import Records
    from bundler.oci.digest import Digest

ProblemCode = Literal["evidence-missing", "evidence-damaged"]


@dataclass(frozen=True, slots=True)
class EvidenceProblem:
    """An object that the log names, and that cannot be read."""

    code: ProblemCode
    digest: Digest
    entries: tuple[int, ...]
    """The numbers of the entries of the log that name it."""
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON."""
        return {
            "code": self.code,
            "digest": self.digest.text,
            "entries": list(self.entries),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class EvidenceCheck:
    """The evidence of a log, as it was found."""

    entries: int
    """The number of entries that name evidence."""
    objects: int
    """The number of objects that they name."""
    unnamed: int
    """The number of objects that no entry names: those of runs that were interrupted, or ended
    before their entry, and of a log that was lost or damaged."""
    problems: tuple[EvidenceProblem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the member ``evidence`` of the result of ``log verify``."""
        return {
            "entries": self.entries,
            "objects": self.objects,
            "unnamed": self.unnamed,
            "problems": [problem.to_json() for problem in self.problems],
        }

    def check(self) -> None:
        """Raise an error if an object cannot be read; it does not repeat the problems.

        Raises:
            DamagedEvidenceError: an object is damaged; others may be missing.
            MissingEvidenceError: an object is missing.
        """
        found = {
            code: [item.digest.text for item in self.problems if item.code == code]
            for code in ("evidence-damaged", "evidence-missing")
        }
        if damaged := found["evidence-damaged"]:
            raise DamagedEvidenceError(f"damaged: {count(len(damaged), 'object')}", damaged)
        if missing := found["evidence-missing"]:
            raise MissingEvidenceError(f"missing: {count(len(missing), 'object')}", missing)


def check_evidence(records: Records) -> EvidenceCheck:
    """Read all evidence that the log names, or a readable log before it, each object once.

    Raises:
        MediumError: a file cannot be read.
    """
    former = [entry for log in read_former_logs(records) for entry in log.entries]
    entries = (*former, *records.log.entries)
    with objects.open_store(records.path) as store:
        documents: dict[Digest, list[int]] = {}
        for entry in entries:
            if "evidence" in entry.table:
                number = entry.table.integer("number")
                documents.setdefault(entry.table.digest("evidence"), []).append(number)
        named: dict[Digest, dict[int, None]] = {}
        problems = []
        for digest, lines in documents.items():
            found = objects.attempt(
                digest, lambda digest: list(document.read(store, digest).list_objects())
            )
            if isinstance(found, Unread):
                problems.append(EvidenceProblem(found.code, digest, tuple(lines), found.text))
                continue
            for item in found:
                named.setdefault(item, {}).update(dict.fromkeys(lines))
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            results = executor.map(objects.attempt, named, [store.read] * len(named))
            for digest, result in zip(named, results, strict=True):
                if isinstance(result, Unread):
                    problem = EvidenceProblem(
                        result.code, digest, tuple(named[digest]), result.text
                    )
                    problems.append(problem)
        known = {digest.hex for digest in (*documents, *named)}
        unnamed = len(store.list_names() - known)
    entry_count = sum(map(len, documents.values()))
    return EvidenceCheck(entry_count, len(known), unnamed, tuple(problems))
