"""Packages of Alpine, from the database of apk.

https://wiki.alpinelinux.org/wiki/Apk_spec
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_PATHS = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
MAX_SIZE = 24 * 1024 * 1024


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the installed packages.

    Raises:
        PackageFileError: the file is too large, or not a database of apk.
    """
    fields: dict[str, str] = {}
    for number, line in enumerate(chain(file.read_lines(MAX_SIZE), [""]), 1):
        if line:
            if line[1:2] != ":":
                raise PackageFileError(f"line {number}: not a field")
            fields.setdefault(line[0], line[2:])
        elif fields:
            name, version = fields.get("P", ""), fields.get("V", "")
            if not name or not version:
                raise PackageFileError(f"line {number}: a package without name or version")
            license_text = fields.get("L", "")
            yield Package(
                type="apk",
                namespace="alpine",
                name=name,
                version=version,
                path=file.path,
                layer=file.layer,
                architecture=fields.get("A", ""),
                source_name=fields.get("o", name),
                source_version=version,
                licenses=(license_text,) if license_text else (),
            )
            fields = {}


DETECTOR = Detector(_PATHS.__contains__, parse, names=frozenset({"installed"}))
