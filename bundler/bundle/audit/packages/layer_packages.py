"""Find what the files of one layer state about packages, in a single pass over its stream."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.scan import scan_layer
from bundler.bundle.audit.packages.ecosystems import DETECTORS
from bundler.bundle.audit.packages.found_file import FoundFile, PackageFileError
from bundler.bundle.audit.packages.package import (
    Evidence,
    LayerPackages,
    Package,
    PackageFinding,
)
from bundler.bundle.audit.packages.path_changes import PathChanges
from bundler.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.layers.scan import Member
    from bundler.bundle.audit.packages.found_file import Detector
    from bundler.bundle.audit.packages.package import Statement
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source

MAX_MEMORY = 16 * 1024 * 1024
"""The maximum memory of the packages of one layer, and of the files that state them, in bytes,
estimated."""
MAX_TEXT = 4096
"""The maximum length of a name, a version, a licence and so on."""
_STATEMENT = 400  # bytes of memory of a package or a file, without its texts


@dataclass(slots=True)
class PackageCollector:
    """Collects what the members of a layer state: ``visit`` for each, then ``finish``.

    For one thread.
    """

    layer: Digest
    _rereads: dict[str, tuple[list[str], Detector]] = field(default_factory=dict)
    """Files to read in a second pass, by their path: under which paths, and with which detector.
    These are targets of hard links whose own path no detector matches, and programs."""
    _evidence: dict[str, Evidence] = field(default_factory=dict)
    _findings: dict[str, PackageFinding] = field(default_factory=dict)
    _memory: int = 0
    _file_memory: int = 0
    _changes: PathChanges = field(init=False)

    def __post_init__(self) -> None:
        self._changes = PathChanges(f"layer {self.layer}")

    def visit(self, member: Member, content: Iterator[memoryview]) -> None:
        """Read a member if it may state packages."""
        self._changes.add(member)
        path = member.path
        self._findings.pop(path, None)
        replaced = self._evidence.pop(path, None)
        if replaced is not None:
            replaced.paths.remove(path)
        if member.kind == "file" and member.size:
            detector = _find_detector(path)
            if detector is not None:
                self._read(detector, path, member.size, content)
                return
            first = next(content)
            head = bytes(first[:_HEAD])
            for magic, found in _MAGICS:
                if head.startswith(magic):
                    self._read(found, path, member.size, chain((first,), content))
                    return
        elif member.kind == "hard link":
            target = self._evidence.get(member.target)
            _, pending = self._rereads.get(member.target, ([], None))
            if target is not None:
                self._count_file(path)
                target.paths.append(path)
                self._evidence[path] = target
            elif (detector := _find_detector(path) or pending) is not None:
                self._count_file(path + member.target)
                links, known = self._rereads.setdefault(member.target, ([], detector))
                if known is detector:
                    links.append(path)
                else:
                    problem = f"a hard link to {member.target[:160]!r}"
                    problem += ", which is read as another kind of file"
                    self._findings[path] = PackageFinding(
                        "package-file-unsupported", path, self.layer, problem
                    )

    def finish(
        self, source: Source, layer: Descriptor, diff_id: Digest, cancellation: Cancellation
    ) -> LayerPackages:
        """Read the layer a second time if necessary; return what was collected.

        Raises:
            BundlerError: the layer cannot be read again, see ``scan_layer``.
        """
        if self._rereads:
            scan_layer(source, layer, self._visit_again, cancellation)
        self._changes.finish()
        evidence = {id(item): item for item in self._evidence.values()}
        findings = tuple(self._findings.values())
        return LayerPackages(self.layer, diff_id, tuple(evidence.values()), self._changes, findings)

    def _visit_again(self, member: Member, content: Iterator[memoryview]) -> None:
        """In a second pass: read a member of ``_rereads``."""
        if member.kind == "file" and member.path in self._rereads:
            (path, *links), detector = self._rereads[member.path]
            self._read(detector, path, member.size, content)
            evidence, finding = self._evidence.get(path), self._findings.get(path)
            if evidence is not None:
                evidence.paths += links
                self._evidence |= dict.fromkeys(links, evidence)
            if finding is not None:
                self._findings |= {link: replace(finding, path=link) for link in links}

    def _read(self, detector: Detector, path: str, size: int, chunks: Iterator[memoryview]) -> None:
        statements: list[Statement] = []
        file = FoundFile(path, self.layer, size, chunks)
        try:
            for statement in detector.parse(file):
                if isinstance(statement, Package):
                    self._check(statement)
                statements.append(statement)
        except PackageFileError as error:
            self._findings[path] = PackageFinding(error.code, path, self.layer, error.problem)
        if file.reread is not None:
            self._rereads[path] = [path], file.reread
        if statements or path in self._findings or path in self._rereads:
            self._count_file(path)
        if statements:
            self._evidence[path] = Evidence([path], tuple(statements))

    def _check(self, package: Package) -> None:
        lengths = [len(package.name), len(package.version), len(package.namespace)]
        lengths += [len(package.architecture), len(package.source_name)]
        lengths += [len(package.source_version), *map(len, package.licenses)]
        if not package.name or max(lengths) > MAX_TEXT or len(package.licenses) > MAX_TEXT:
            raise PackageFileError(
                f"a package without a name, or a text over {MAX_TEXT:,} characters"
            )
        self._memory += _STATEMENT + sum(lengths)
        if self._memory > MAX_MEMORY:
            raise PackageFileError("too many packages in the layer", "package-file-too-large")

    def _count_file(self, texts: str) -> None:
        """Count the memory of a file that is kept, with its paths."""
        self._file_memory += _STATEMENT + len(texts)
        if self._file_memory > MAX_MEMORY:
            raise LimitError(
                f"layer {self.layer}: too many files that state packages, or cannot be read"
            )


def _find_detector(path: str) -> Detector | None:
    """Return the detector that reads a file for its path."""
    directory, _, name = path.rpartition("/")
    ending = name.rpartition(".")[2]
    for index, key in ((_BY_NAME, name), (_BY_ENDING, ending), (_BY_DIRECTORY, directory)):
        for detector in index.get(key, ()):
            if detector.matches(path):
                return detector
    return None


def _index(attribute: str) -> dict[str, list[Detector]]:
    index: dict[str, list[Detector]] = {}
    for detector in DETECTORS:
        for key in getattr(detector, attribute):
            index.setdefault(key, []).append(detector)
    return index


_BY_NAME = _index("names")
_BY_ENDING = _index("endings")
_BY_DIRECTORY = _index("directories")
_MAGICS = [(magic, detector) for detector in DETECTORS for magic in detector.magics]
_HEAD = max((len(magic) for magic, _ in _MAGICS), default=1)
