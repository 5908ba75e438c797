"""Python packages, from the metadata of installed distributions and of eggs.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import re
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.zip_files import open_zip, read_text
from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_PATH = re.compile(
    r"(?:.*/)?(?:[^/]+\.dist-info/METADATA|[^/]+\.egg-info/PKG-INFO|EGG-INFO/PKG-INFO|[^/]+\.egg-info)"
)
MAX_SIZE = 8 * 1024 * 1024
MAX_EGG = 1024**3
_SEPARATORS = re.compile(r"[-_.]+")
_NO_LICENSE = ("", "UNKNOWN")
_MAX_LICENSE = 200  # characters; a longer text is the licence itself, not its name
_CLASSIFIER = "License :: "


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the distribution.

    Raises:
        PackageFileError: the file is too large, or states no name and version.
    """
    yield _parse_metadata(file, file.read_text(MAX_SIZE))


def parse_egg(file: FoundFile) -> Iterator[Package]:
    """Yield the distribution in an egg that is a zip file.

    Raises:
        PackageFileError: the file is too large or damaged, or states no name and version.
    """
    with file.spool(MAX_EGG) as stream, open_zip(stream) as archive:
        for info in archive.infolist():
            if info.filename == "EGG-INFO/PKG-INFO":
                yield _parse_metadata(file, read_text(archive, info))


def _parse_metadata(file: FoundFile, text: str) -> Package:
    headers = HeaderParser().parsestr(text.removeprefix("\ufeff"), headersonly=True)
    name, version = (str(headers.get(key, "")).strip() for key in ("Name", "Version"))
    if not name or not version:
        raise PackageFileError("no name or no version")
    licenses = [str(headers.get("License-Expression", "")).strip()]
    if licenses[0] in _NO_LICENSE:
        stated = str(headers.get("License", "")).strip()
        licenses = [stated] if len(stated) <= _MAX_LICENSE and "\n" not in stated else []
        licenses = [item for item in licenses if item not in _NO_LICENSE] or [
            classifier.rpartition(" :: ")[2]
            for classifier in map(str, headers.get_all("Classifier", ()))
            if classifier.startswith(_CLASSIFIER) and classifier.count(" :: ") > 1
        ]
    return Package(
        type="pypi",
        name=_SEPARATORS.sub("-", name).lower(),
        version=version,
        path=file.path,
        layer=file.layer,
        licenses=tuple(licenses),
    )


DETECTOR = Detector(
    lambda path: _PATH.fullmatch(path) is not None,
    parse,
    names=frozenset({"METADATA", "PKG-INFO"}),
    endings=frozenset({"egg-info"}),
)
EGG_DETECTOR = Detector(lambda path: path.endswith(".egg"), parse_egg, endings=frozenset({"egg"}))
