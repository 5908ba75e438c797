"""Compare the file trees of two images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.audit.layers.file_tree import File
    from bundler.bundle.audit.listings.files import ImageFiles
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that one of two images has, or that differs."""

    path: str
    change: Literal["added", "removed", "changed"]
    size: int
    """The size in the new image in bytes; of a removed file, in the old one."""
    parts: tuple[str, ...] = ()
    """The parts that differ: ``type``, ``mode``, ``owner``, ``target``, ``content``."""
    marks: tuple[str, ...] = ()
    """The marks in the new image, see ``Member.marks``."""

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON, without empty members."""
        value: dict[str, Any] = {"path": self.path, "change": self.change, "size": self.size}
        if self.parts:
            value["parts"] = list(self.parts)
        if self.marks:
            value["marks"] = list(self.marks)
        return value


def compare_files(old: ImageFiles, new: ImageFiles) -> tuple[FileChange, ...]:
    """Compare the files of two images.

    Files of the same size in different layers are read again, and compared by their digests.

    Raises:
        BundlerError: a layer cannot be read, see ``ImageFiles.list_layer``.
    """
    old_files = {file.path: file for file in old.read_tree()}
    new_files = {file.path: file for file in new.read_tree()}
    changes = []
    undecided = []
    for path in sorted(old_files.keys() | new_files.keys()):
        before, after = old_files.get(path), new_files.get(path)
        if before is None and after is not None:
            changes.append(FileChange(path, "added", after.member.size, (), after.member.marks))
        elif after is None and before is not None:
            changes.append(FileChange(path, "removed", before.member.size))
        elif before is not None and after is not None:
            is_same_member = before.member.position == after.member.position
            if not is_same_member or before.layer != after.layer:
                undecided.append((before, after))
    same_size = [
        (before, after)
        for before, after in undecided
        if before.member.kind == after.member.kind == "file"
        and before.member.size == after.member.size > 0
    ]
    old_digests = _hash(old, (before for before, _ in same_size))
    new_digests = _hash(new, (after for _, after in same_size))
    for before, after in undecided:
        parts = _compare_members(before, after)
        if "type" not in parts and after.member.kind == "file":
            old_digest, new_digest = old_digests.get(before.path), new_digests.get(after.path)
            if before.member.size != after.member.size or old_digest != new_digest:
                parts.append("content")
        if parts:
            member = after.member
            changes.append(
                FileChange(after.path, "changed", member.size, tuple(parts), member.marks)
            )
    return tuple(sorted(changes, key=lambda change: change.path))


def _compare_members(old: File, new: File) -> list[str]:
    """Return the parts of the metadata that differ."""
    before, after = old.member, new.member
    compared = {
        "type": (before.kind, after.kind),
        "mode": (before.mode, after.mode),
        "owner": ((before.uid, before.gid), (after.uid, after.gid)),
        "target": (before.target, after.target),
    }
    return [part for part, (first, second) in compared.items() if first != second]


def _hash(image: ImageFiles, files: Iterable[File]) -> Mapping[str, Digest]:
    """Return the digest of the content of each file, by path; each layer is read once."""
    paths: dict[Digest, dict[int, list[str]]] = {}
    for file in files:
        paths.setdefault(file.layer, {}).setdefault(file.member.position, []).append(file.path)
    return {
        path: digest
        for layer, by_position in paths.items()
        for position, digest in image.hash_members(layer, by_position).items()
        for path in by_position[position]
    }
