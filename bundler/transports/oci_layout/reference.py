"""How users and ``index.json`` name an image in a layout, be it a directory or an archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bundler.errors import InvalidReferenceError
from bundler.oci import image_layout
from bundler.transports.shared.path_reference import check_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Publication


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """``TRANSPORT:PATH``, ``…:NAME`` or, for reading, ``…:@N``: the entry in place N."""

    transport: str
    path: str
    name: str | None = None

    @classmethod
    def parse(cls, transport: str, text: str) -> Self:
        """Read what stands after ``transport:``; the path ends at the first colon.

        Raises:
            InvalidReferenceError: with the part that is wrong.
        """
        path, _, name = text.partition(":")
        if not path or "\0" in path:
            raise InvalidReferenceError(
                f"{transport}:{text[:200]}: no path",
                hint=f"write {transport}:PATH or {transport}:PATH:NAME",
            )
        if not all(char.isprintable() and char != " " for char in name):
            raise InvalidReferenceError(
                f"{transport}:{path[:200]}: {name[:80]!r} is not an image's name"
            )
        if name.startswith("@"):
            check_index(f"{transport}:{text}", name)
        return cls(transport, path, name or None)

    def __str__(self) -> str:
        name = "" if self.name is None else f":{self.name}"
        return f"{self.transport}:{self.path}{name}"


def index_entries(images: Sequence[Publication]) -> Iterator[Descriptor]:
    """What ``index.json`` lists for ``images``: each root once for each of its names."""
    for image in images:
        for name in image.names or (None,):
            yield image_layout.named(image.root, name, dict(image.annotations))
