"""The parts of an archive that are present, read like one file with holes."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import RegularFile
from bundler.errors import MalformedError, PartsOwedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class PartsFile:
    """A random-access file of ``parts``, by their numbers from 1; it opens and closes them.

    All parts but the last have the size of the first one. A shorter one is cut, and its rest is a
    hole.

    Raises:
        PartsOwedError: the first part is missing.
        MalformedError: a part is larger than the first one, or not a regular file.
        NotFoundError, MediumError: a part cannot be opened.
    """

    def __init__(self, parts: Mapping[int, Path]) -> None:
        self.paths = dict(sorted(parts.items()))
        self.path = next(iter(self.paths.values()))
        if 1 not in self.paths:
            raise PartsOwedError(f"{self.path}: part 001, which has the plan, is missing", [1])
        with ExitStack() as stack:
            self._files: dict[int, RegularFile] = {}
            for number, path in self.paths.items():
                self._files[number] = stack.enter_context(RegularFile.open(path))
            self.part_size = self._files[1].size
            for number, file in self._files.items():
                if file.size > self.part_size:
                    raise MalformedError(
                        f"{file.path}: larger than the first part (expected at most"
                        f" {self.part_size:,} bytes, got {file.size:,})",
                        hint=f"copy part {number:03} or part 001 again: one of them is cut, or of"
                        " another archive",
                    )
            self._stack = stack.pop_all()
        last = max(self.paths)
        self.size = (last - 1) * self.part_size + self._files[last].size
        """The size up to the end of the last part that is present."""

    def readinto_at(self, buffer: memoryview, offset: int, /) -> int:
        """Read at ``offset`` into ``buffer``, and return the number of bytes; 0 in a hole."""
        number = self.find_number(offset)
        file = self._files.get(number)
        start = (number - 1) * self.part_size
        if file is None or offset >= start + file.size:
            return 0
        return file.readinto_at(buffer[: start + file.size - offset], offset - start)

    def is_available(self, start: int, end: int) -> bool:
        """Whether all bytes from ``start`` to ``end`` are present."""
        while start < end:
            number = self.find_number(start)
            file, first = self._files.get(number), (number - 1) * self.part_size
            if file is None or start >= first + file.size:
                return False
            start = first + file.size
        return True

    def find_number(self, offset: int) -> int:
        """Return the number of the part that has the byte at ``offset``."""
        return offset // self.part_size + 1 if self.part_size else 1

    def find_holes(self, start: int, end: int) -> list[int]:
        """Return the numbers of the parts that lack bytes from ``start`` to ``end``."""
        if not self.part_size:
            return [1]
        found = []
        for number in range(self.find_number(start), self.find_number(max(start, end - 1)) + 1):
            first = (number - 1) * self.part_size
            span = max(start, first), min(end, first + self.part_size)
            if not self.is_available(*span):
                found.append(number)
        return found

    def close(self) -> None:
        """Close all parts."""
        self._stack.close()
