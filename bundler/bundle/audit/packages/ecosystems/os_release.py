"""The distribution of an image.

https://www.freedesktop.org/software/systemd/man/latest/os-release.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector
from bundler.bundle.audit.packages.package import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

_MAX_SIZE = 64 * 1024
_ID = re.compile(r"[a-z0-9._-]{1,64}")
_PATHS = ("etc/os-release", "usr/lib/os-release")


def parse(file: FoundFile) -> Iterator[Distribution]:
    """Yield the distribution, if the file states a valid ID.

    Raises:
        PackageFileError: the file is too large.
    """
    values = {}
    for line in file.read_text(_MAX_SIZE).splitlines():
        key, _, value = line.partition("=")
        values[key.strip()] = value.strip().strip("\"'")[:200]
    identifier = values.get("ID", "linux")
    if _ID.fullmatch(identifier):
        version = values.get("VERSION_ID", "")
        yield Distribution(identifier, version, values.get("PRETTY_NAME", identifier))


DETECTOR = Detector(_PATHS.__contains__, parse, names=frozenset({"os-release"}))
