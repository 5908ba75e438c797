"""Licences of Debian's packages, from their copyright files.

https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector
from bundler.bundle.audit.packages.package import DocumentedLicenses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_PATH = re.compile(r"usr/share/doc/([^/]+)/copyright")
_FIELD = re.compile(r"^License:[ \t]*(\S[^\n]*)$", re.MULTILINE | re.IGNORECASE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])")
_MAX_SIZE = 4 * 1024 * 1024
_MAX_LICENSES = 200
_MAX_LENGTH = 200


def parse(file: FoundFile) -> Iterator[DocumentedLicenses]:
    """Yield the short names of licences; without a known format, the licences it refers to.

    A copyright file need not have a format, so none is malformed; one that is too large is not
    read.
    """
    if file.size > _MAX_SIZE:
        return
    text = file.read_text(_MAX_SIZE)
    found = _FIELD.findall(text) if text.lstrip().startswith("Format") else _COMMON.findall(text)
    names = sorted({name.strip() for name in found if len(name) <= _MAX_LENGTH})
    if names:
        yield DocumentedLicenses(file.path.split("/")[-2], tuple(names[:_MAX_LICENSES]))


DETECTOR = Detector(
    lambda path: _PATH.fullmatch(path) is not None, parse, names=frozenset({"copyright"})
)
