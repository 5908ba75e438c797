"""Paragraphs of fields, the format of Debian's databases.

https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import PackageFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


def parse_paragraphs(lines: Iterable[str], names: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield the fields in ``names`` of each paragraph, with the names in lower case.

    Raises:
        PackageFileError: a line is not a field.
    """
    fields: dict[str, str] = {}
    current = ""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if fields:
                yield fields
            fields, current = {}, ""
        elif line[0] in " \t":
            if current in names:
                fields[current] += "\n" + line.strip()
        elif line[0] != "#":
            name, colon, value = line.partition(":")
            if not colon:
                raise PackageFileError(f"line {number}: not a field")
            current = name.lower()
            if current in names:
                fields[current] = value.strip()
    if fields:
        yield fields
