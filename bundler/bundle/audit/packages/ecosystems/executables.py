"""Programs that state from which packages they were built: those of Go, and those of Rust."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems import go, rust
from bundler.bundle.audit.packages.found_file import Detector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile
    from bundler.bundle.audit.packages.package import Package

_OVERLAP = len(go.MAGIC) - 1  # longer than the name of Rust's section


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the Go modules; let the file be read again if it lists Rust's packages.

    Raises:
        PackageFileError: the build information of Go is malformed, or too old.
    """
    chunks = iter(file.chunks)
    data, start = bytearray(), 0  # a part of the file, and its offset
    for chunk in chunks:
        data += chunk
        if rust.SECTION in data:
            file.reread = rust.DETECTOR
        position = data.find(go.MAGIC)
        while position >= 0:
            if (start + position) % go.ALIGNMENT == 0:
                while len(data) - position <= 2 * go.MAX_SIZE and (more := next(chunks, None)):
                    data += more
                found = go.parse_build_info(bytes(data[position : position + 2 * go.MAX_SIZE]))
                if found is not None:
                    yield from go.list_modules(file, *found)
                    return
            position = data.find(go.MAGIC, position + 1)
        start += max(0, len(data) - _OVERLAP)
        del data[:-_OVERLAP]


DETECTOR = Detector(lambda _: False, parse, magics=(b"\x7fELF", b"MZ"))
