"""Search the lists of packages for a name and a version."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bundler.bundle.records.evidence.document import parse_object
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.records.evidence.version_range import VersionRange
    from bundler.oci.digest import Digest

_SEPARATORS = {"npm": "/", "maven": ":", "golang": "/"}
"""The separator of the namespace and the name in the full name of a package, by type."""
_NO_LITERAL = re.compile(r"\[[^\]]*\]?|[*?:/@._-]+")
"""Parts of a pattern that need not occur in a list as they are written."""
_PYPI = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class PackageQuery:
    """A name and a version of packages."""

    name: str
    """A shell pattern in lower case: for the name, with or without its scope or group, or for the
    name of the source package."""
    version: str | VersionRange
    """A shell pattern, or a range."""

    @classmethod
    def parse(cls, text: str) -> PackageQuery:
        """Parse ``NAME``, ``NAME@PATTERN`` or ``NAME@RANGE``.

        The scope of npm begins with ``@`` too. A range begins with ``<``, ``>`` or ``=``.

        Raises:
            UsageError: the range is malformed.
        """
        name, at, version = text.rpartition("@")
        if not (at and name):
            name, version = text, "*"
        if not version.startswith(("<", ">", "=")):
            return cls(name.lower(), version)
        from bundler.bundle.records.evidence.version_range import VersionRange  # noqa: PLC0415 - rare

        return cls(name.lower(), VersionRange.parse(version))

    def find(self, raw: bytes, digest: Digest) -> Iterator[str]:
        """Yield the packages in a list, the object with this digest, that meet the query.

        Each is the name and the version, with the type, the path and the source package. One whose
        version may be in a range or not is yielded, and the text states it.

        Raises:
            DamagedEvidenceError, MalformedError: it is not a list of packages.
        """
        literal = max(_NO_LITERAL.split(self.name), key=len)
        if literal.isascii() and json.dumps(literal)[1:-1].encode() not in raw.lower():
            return  # most lists, which need not be parsed
        for file in Table(parse_object(raw, digest), f"evidence {digest}").tables("files"):
            path = file.optional_text("path") or ""
            for package in file.tables("packages"):
                hit = self._match(package, path)
                if hit is not None:
                    yield hit

    def _match(self, package: Table, path: str) -> str | None:
        kind, name = package.text("type"), package.text("name")
        namespace = package.optional_text("namespace") or ""
        full = (
            f"{namespace}{_SEPARATORS[kind]}{name}" if namespace and kind in _SEPARATORS else name
        )
        version = package.optional_text("version") or ""
        described = f"{full}@{version} ({', '.join(filter(None, (kind, path)))})"
        if self._matches_name(kind, full) or self._matches_name(kind, name):
            compared = version
        elif self._matches_name(kind, source := package.optional_text("sourceName") or ""):
            compared = package.optional_text("sourceVersion") or version
            described += f" of {source}"
        else:
            return None
        if isinstance(self.version, str):
            return described if fnmatchcase(compared, self.version) else None
        contained = self.version.contains(kind, compared)
        if contained is None:
            return f"{described}, whose version cannot be compared"
        return described if contained else None

    def _matches_name(self, kind: str, name: str) -> bool:
        pattern = self.name
        if kind == "pypi":
            name, pattern = _PYPI.sub("-", name), _PYPI.sub("-", pattern)
        return fnmatchcase(name.lower(), pattern)
