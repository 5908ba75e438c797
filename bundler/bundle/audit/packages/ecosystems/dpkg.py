"""Packages of Debian and its derivatives, from the database of dpkg, also that of distroless.

https://manpages.debian.org/bookworm/dpkg-dev/deb-control.5.en.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.paragraphs import parse_paragraphs
from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_STATUS = "var/lib/dpkg/status"
_DIRECTORY = "var/lib/dpkg/status.d"
MAX_SIZE = 24 * 1024 * 1024
_FIELDS = ("package", "version", "architecture", "source", "status")
_NOT_INSTALLED = ("not-installed", "config-files")
_SOURCE = re.compile(r"(\S+)(?: +\(([^)]*)\))?")


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the packages whose files are installed.

    Raises:
        PackageFileError: the file is too large, or not a database of dpkg.
    """
    for fields in parse_paragraphs(file.read_lines(MAX_SIZE), _FIELDS):
        status = fields.get("status")
        if status is not None and status.rpartition(" ")[2] in _NOT_INSTALLED:
            continue
        name, version = fields.get("package", ""), fields.get("version", "")
        source = _SOURCE.fullmatch(fields.get("source", name))
        if not name or not version or source is None:
            raise PackageFileError(f"a package without name, version or source: {name[:80]!r}")
        yield Package(
            type="deb",
            namespace="debian",
            name=name,
            version=version,
            path=file.path,
            layer=file.layer,
            architecture=fields.get("architecture", ""),
            source_name=source[1],
            source_version=source[2] or version,
        )


DETECTOR = Detector(
    lambda path: (
        path == _STATUS or (path.startswith(f"{_DIRECTORY}/") and not path.endswith(".md5sums"))
    ),
    parse,
    names=frozenset({"status"}),
    directories=frozenset({_DIRECTORY}),
)
