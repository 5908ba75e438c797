"""Find the members of an archive of which parts are missing, or that is cut.

The sealed plan lists the sizes of all content in its order, so the places behind a hole are known.
Each header that is present is compared with its path and size, as in a whole archive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format.archive import members
from bundler.bundle.format.archive.layout import MODE, find_path
from bundler.bundle.format.archive.members import Member, MemberOrder
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan import sealed_plan
from bundler.content.archives import tar_header
from bundler.content.archives.tar_header import BLOCK
from bundler.content.archives.tar_writer import encode_header
from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from bundler.bundle.format.archive.parts_file import PartsFile


@dataclass(slots=True)
class ArchiveIndex:
    """The members of an archive, in their order."""

    members: dict[str, Member] = field(default_factory=dict)
    """Those that are whole, by path."""
    lacking: dict[str, Member] = field(default_factory=dict)
    """Those whose places are known, and that are not whole."""
    end: int = 0
    """The offset after the last known member."""
    is_whole: bool = False
    """Whether nothing is lacking, from the plan to the end."""


def index(file: PartsFile, subject: str) -> ArchiveIndex:
    """Return the members of an archive as far as their places are known.

    Raises:
        MalformedError: not an archive of a bundle, or a part is that of another archive.
        LimitError: there are too many members.
        MediumError: a part cannot be read.
    """
    found, order = ArchiveIndex(), MemberOrder(subject)
    planned: list[tuple[str, int]] | None = None
    while True:
        if _has_header(file, found.end):
            member = _read_member(file, found.end, subject)
            if member is None:
                left = file.size - found.end
                if left >= 2 * BLOCK and file.is_available(found.end, file.size):
                    members.check_end(FileSlice(file, found.end, left).read, left, subject)
                    found.is_whole = not found.lacking
                return found
        else:
            planned = _list_planned(file, found, subject) if planned is None else planned
            following = _find_next(planned, found)
            if following is None:
                return found
            path, size = following
            member = Member(path, found.end + len(encode_header(path, size, MODE)), size)
        order.check(member.path)
        if file.is_available(found.end, member.end):
            padding = member.start + member.size
            if any(FileSlice(file, padding, member.end - padding).read()):
                raise MalformedError(f"{subject}: data after {member.path}")
            found.members[member.path] = member
        else:
            found.lacking[member.path] = member
        found.end = member.end


def _has_header(file: PartsFile, position: int) -> bool:
    raw = FileSlice(file, position, BLOCK).read()
    is_long = raw[156:157] == bytes([tar_header.LONG_NAME])
    return len(raw) == BLOCK and (not is_long or file.is_available(position, position + 3 * BLOCK))


def _read_member(file: PartsFile, position: int, subject: str) -> Member | None:
    try:
        return members.read_member(FileSlice(file, position, 3 * BLOCK).read, position, subject)
    except MalformedError as error:
        part = file.paths.get(file.find_number(position))
        if len(file.paths) > 1 and part is not None:
            error.hint = f"copy {part} again: it is damaged, or of another archive"
        raise


def _list_planned(file: PartsFile, found: ArchiveIndex, subject: str) -> list[tuple[str, int]]:
    """Return the paths and the sizes of all content, as the plan states them."""
    documents = []
    for path, limit in (
        (bundle_paths.PLAN, MAX_INVENTORY),
        (bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS),
    ):
        member = found.members.get(path)
        if member is None:
            raise MalformedError(
                f"{subject}: cut after {file.size:,} bytes, before the end of its plan",
                hint=members.CUT_HINT,
            )
        if member.size > limit:
            raise LimitError(f"{subject}: {path}: more than the {limit:,} bytes allowed")
        documents.append(FileSlice(file, member.start, member.size).read())
    plan = sealed_plan.parse_sealed_plan(documents[0])
    contents = sealed_plan.parse_contents(documents[1], plan.contents)
    return [(find_path(item.digest), item.size) for item in contents]


def _find_next(planned: list[tuple[str, int]], found: ArchiveIndex) -> tuple[str, int] | None:
    """Return the content after the last member; None: its place is not known."""
    known = found.members.keys() | found.lacking.keys()
    last = max((at for at, (path, _) in enumerate(planned) if path in known), default=-1)
    is_seal = any(members.find_section(path) > members.CONTENT for path in known)
    if last < 0 or is_seal or last + 1 >= len(planned):
        return None
    return planned[last + 1]
