"""Ruby gems, from their installed specifications.

A specification is a program in Ruby; RubyGems writes it in a fixed form, of which assignments of
literals are read.

https://guides.rubygems.org/specification-reference/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_PATH = re.compile(r"(?:.*/)?specifications/(?:default/)?[^/]+\.gemspec")
MAX_SIZE = 1024 * 1024
_ASSIGNMENT = re.compile(
    r"^\s*\w+\.(name|version|platform|licenses?)\s*=\s*([^\n]*)$", re.MULTILINE
)
_TEXT = re.compile(r"""(["'])([^"'\\#]*)\1""")


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the gem.

    Raises:
        PackageFileError: the file is too large, or the name or the version is not a literal.
    """
    values: dict[str, list[str]] = {}
    for match in _ASSIGNMENT.finditer(file.read_text(MAX_SIZE)):
        values.setdefault(match[1], [text[1] for text in _TEXT.findall(match[2])])
    names, versions = values.get("name"), values.get("version")
    if not names or not versions:
        raise PackageFileError("the name or the version is not a literal")
    yield Package(
        type="gem",
        name=names[0],
        version=versions[0],
        path=file.path,
        layer=file.layer,
        architecture=next(iter(values.get("platform", ())), ""),
        licenses=tuple(values.get("licenses", values.get("license", ()))),
    )


DETECTOR = Detector(
    lambda path: _PATH.fullmatch(path) is not None, parse, endings=frozenset({"gemspec"})
)
