"""The location of images that a command looks into: a bundle, its volumes, or a reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.bundle.format.reading.open_files import is_bundle
from bundler.bundle.format.reading.volume_files import group_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.format.reading.stream_location import StreamLocation


@dataclass(frozen=True, slots=True)
class Location:
    """A bundle or a reference as the user wrote it; several words are the volumes of a bundle."""

    words: tuple[str, ...]
    stream: StreamLocation | None = None
    """The bundle, if it is an archive that is read once."""

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The words as paths."""
        return tuple(map(Path, self.words))

    @property
    def is_path(self) -> bool:
        """Whether it is a directory or an archive, existing or not, and not a reference."""
        return self.paths[0].is_dir() or ":" not in self.words[0]

    @property
    def is_bundle(self) -> bool:
        """Whether it may be a bundle: a path, and not that of another file."""
        first = self.paths[0]
        return is_bundle(first) or (":" not in self.words[0] and not first.is_file())


def group_locations(words: Sequence[str]) -> list[Location]:
    """Return the locations in ``words``; the volumes of one bundle are one location."""
    paths = {Path(word): word for word in words}
    groups = group_volumes([Path(word) for word in words])
    return [Location(tuple(paths[path] for path in group)) for group in groups]
