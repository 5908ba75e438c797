"""The file tree of an image: the members of its layers, from the lowest to the highest, together.

A whiteout removes a file of the layers below it, an opaque directory all that they put into it.
Links in paths are followed only below the root of the tree.

https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import LimitError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.layers.scan import LayerListing, Member
    from bundler.oci.digest import Digest

MAX_FILES = 1_000_000
"""The maximum number of members of all layers, and of directories that only their paths contain."""
MAX_LINKS = 40
"""The maximum number of links that are followed for one path; the limit of Linux."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, slots=True)
class File:
    """A file, directory or link of the tree."""

    path: str
    """The path without a leading ``/``."""
    member: Member
    """The member that determines metadata and content: for a hard link, that of its target."""
    layer: Digest
    """The layer that contains ``member``."""


@dataclass(slots=True)
class _Entry:
    file: File | None = None
    """None for a directory that no layer contains, only files in it."""
    children: dict[str, _Entry] = field(default_factory=dict)


class FileTree:
    """The files of the layers that have been added. For one thread."""

    def __init__(self) -> None:
        self._root = _Entry()
        self._count = 0

    def add(self, listing: LayerListing) -> None:
        """Apply the next layer.

        Raises:
            LimitError: the layers have too many files.
            NotFoundError: a hard link has no target.
        """
        self._add_count(len(listing.members))
        added = []
        for member in listing.members:
            directory, _, name = member.path.rpartition("/")
            if name.startswith(_WHITEOUT):
                parent = self._get(directory)
                if parent is not None and name == _OPAQUE:
                    parent.children.clear()
                elif parent is not None:
                    parent.children.pop(name.removeprefix(_WHITEOUT), None)
            elif name:
                added.append(member)
        # Whiteouts hide only the layers below, whatever their position in this layer.
        for member in added:
            self._put(member, listing.digest)

    def __iter__(self) -> Iterator[File]:
        """Iterate over the files by path, each directory before its content."""
        pending = [iter(sorted(self._root.children.items()))]
        while pending:
            item = next(pending[-1], None)
            if item is None:
                pending.pop()
                continue
            entry = item[1]
            if entry.file is not None:
                yield entry.file
            pending.append(iter(sorted(entry.children.items())))

    def find(self, path: str) -> File:
        """Return the file at ``path``, whose links are followed as in a container.

        Raises:
            NotFoundError: it does not exist, or a link on the way leads nowhere.
            LimitError: the path has too many links.
        """
        pending = _split(path)
        parents = [self._root]
        links = 0
        last_link: File | None = None
        while pending:
            part = pending.pop()
            if part == "..":
                if len(parents) > 1:
                    parents.pop()
                continue
            entry = parents[-1].children.get(part)
            if entry is None:
                if last_link is None:
                    raise NotFoundError(f"{path}: no such file in the image")
                raise NotFoundError(
                    f"{path}: the symbolic link {last_link.path[:160]!r} leads nowhere"
                    f" (its target is {last_link.member.target[:160]!r})"
                )
            file = entry.file
            if file is not None and file.member.kind == "symbolic link":
                last_link = file
                links += 1
                if links > MAX_LINKS:
                    raise LimitError(f"{path}: too many symbolic links (at most {MAX_LINKS})")
                if file.member.target.startswith("/"):
                    parents = [self._root]
                pending += _split(file.member.target)
            else:
                parents.append(entry)
        found = parents[-1].file
        if found is None:
            raise NotFoundError(f"{path}: a directory that no layer contains by itself")
        return found

    def _get(self, directory: str) -> _Entry | None:
        """Return the entry of a directory, whose path contains no links; None if absent."""
        entry = self._root
        for part in filter(None, directory.split("/")):
            child = entry.children.get(part)
            if child is None:
                return None
            entry = child
        return entry

    def _put(self, member: Member, layer: Digest) -> None:
        parent = self._root
        *directories, name = member.path.split("/")
        for part in directories:
            child = parent.children.get(part)
            if child is None or (child.file and child.file.member.kind != "directory"):
                self._add_count(1)
                child = parent.children[part] = _Entry()
            parent = child
        file = File(member.path, member, layer)
        if member.kind == "hard link":
            target = self._get(member.target)
            if target is None or target.file is None:
                raise NotFoundError(
                    f"layer {layer}: {member.path[:160]!r} is a hard link to"
                    f" {member.target[:160]!r}, which does not exist"
                )
            file = File(member.path, target.file.member, target.file.layer)
        known = parent.children.get(name)
        content = known.children if known is not None and member.kind == "directory" else {}
        parent.children[name] = _Entry(file, content)

    def _add_count(self, number: int) -> None:
        self._count += number
        if self._count > MAX_FILES:
            raise LimitError(f"too many files in the layers of an image (at most {MAX_FILES:,})")


def _split(path: str) -> list[str]:
    """Return the components of a path in reverse order."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
