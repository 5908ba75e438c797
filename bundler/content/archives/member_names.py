"""Names of the members of a layer, which are untrusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import PathComponents

MAX_DEPTH = 2048
"""The maximum number of components of a name: those of 4,096 bytes, the longest path of Linux."""


def parse_member_name(name: str, subject: str) -> PathComponents:
    """Split the name of a tar member into components; the root itself has none.

    Raises:
        MalformedError: the name escapes the layer root, or contains a NUL byte.
        LimitError: the name has too many components.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if (part == ".." and not parts) or "\0" in part:
            raise MalformedError(f"{subject}: {name[:160]!r} escapes the layer root")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if len(parts) > MAX_DEPTH:
        raise LimitError(
            f"{subject}: path too deep (expected up to {MAX_DEPTH} levels, got {len(parts):,})"
        )
    return tuple(parts)
