"""Go modules, from the build information in programs.

It is found by its first bytes, because the sections of a program are listed at its end. Programs
that were built before Go 1.18 store it in another form, which is a finding.

https://pkg.go.dev/debug/buildinfo
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

MAGIC = b"\xff Go buildinf:"
ALIGNMENT = 16
HEADER = 32
MAX_SIZE = 4 * 1024 * 1024
_INLINE = 2
_SENTINEL = 16  # bytes before and after the text about modules
_VERSION = re.compile(r"(?:go|devel)[\x20-\x7e]*")


def parse_build_info(data: bytes) -> tuple[str, str] | None:
    """Return Go's version and the text about modules; None if ``data`` is not build information.

    ``data`` begins with ``MAGIC``, and may be longer than the build information.

    Raises:
        PackageFileError: it has the form of Go before 1.18.
    """
    if len(data) <= HEADER or data[14] not in (0, 4, 8):
        return None
    if not data[15] & _INLINE:
        if data[14] == 0 or data[15] > 1:
            return None
        raise PackageFileError("built before Go 1.18", "package-file-unsupported")
    version, position = _read_text(data, HEADER)
    modules, _ = _read_text(data, position)
    text = version.decode(errors="replace")
    if not _VERSION.fullmatch(text):
        return None
    framed = len(modules) > 2 * _SENTINEL and modules[-_SENTINEL - 1 : -_SENTINEL] == b"\n"
    return text, modules[_SENTINEL:-_SENTINEL].decode(errors="replace") if framed else ""


def _read_text(data: bytes, position: int) -> tuple[bytes, int]:
    """Return a text that follows its length, a number of variable length, and its end."""
    length = shift = 0
    for position in range(position, min(position + 10, len(data))):  # noqa: B020, PLR1704
        length |= (data[position] & 0x7F) << shift
        shift += 7
        if data[position] < 0x80:
            break
    start = position + 1
    if length > MAX_SIZE or start + length > len(data):
        return b"", start
    return data[start : start + length], start + length


def list_modules(file: FoundFile, version: str, text: str) -> Iterator[Package]:
    """Yield the standard library, the main module and its dependencies as they were replaced."""
    go_version = version.split(maxsplit=1)[0].removeprefix("go")
    yield _create_package(file, "stdlib", go_version)
    module: tuple[str, str] | None = None
    for line in text.split("\n"):
        kind, *fields = line.split("\t")
        if kind in ("mod", "dep", "=>"):
            if module is not None and kind != "=>":
                yield _create_package(file, *module)
            if not fields or not fields[0]:
                raise PackageFileError("malformed text about modules")
            if kind != "=>" or not fields[0].startswith((".", "/")):  # a directory has no version
                module = (fields[0], fields[1] if len(fields) > 1 else "")
    if module is not None:
        yield _create_package(file, *module)


def _create_package(file: FoundFile, name: str, version: str) -> Package:
    return Package(type="golang", name=name, version=version, path=file.path, layer=file.layer)
