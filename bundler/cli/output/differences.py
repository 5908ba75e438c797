"""Output of differences: text, Markdown for a change request, JSON for machines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.bundle.audit.differences.image_lists import ListDifference
from bundler.bundle.audit.differences.images import ImageDifference
from bundler.cli.output import text
from bundler.errors import DifferenceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.audit.differences.target_difference import TargetDifference
    from bundler.cli.runtime.inspecting.comparison import Difference

_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest
_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_PROBLEMS = {
    "name-absent": "name does not exist",
    "name-moved": "name points to another digest",
    "referrer-tag-absent": "tag of a referrer does not exist",
    "referrer-tag-moved": "tag of a referrer points to another digest",
    "referrer-not-listed": "referrer is not listed",
    "content-absent": "not stored",
    "content-damaged": "damaged",
    "signature-absent": "signatures are not stored",
}

Section = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""A title, the heads of the columns, and the rows."""


def print_difference(
    difference: Difference, output_format: str, *, is_authenticated: bool | None
) -> None:
    """Print a difference to stdout as ``text``, ``json`` or ``markdown``.

    ``is_authenticated``: whether the bundles are authenticated; None: none was compared.
    """
    if output_format == "json":
        value = {"same": _count(difference) == 0, **difference.to_json()}
        known = {} if is_authenticated is None else {"authenticated": is_authenticated}
        text.print_json(known | value)
        return
    if isinstance(difference, ListDifference):
        described = _describe_lists(difference)
    elif isinstance(difference, ImageDifference):
        described = _describe_images(difference)
    else:
        described = _describe_target(difference)
    sections = [section for section in described if section[2]]
    if output_format == "markdown":
        _print_markdown(difference, sections)
        return
    for title, header, rows in sections:
        text.print_line(f"{title}:")
        text.print_table(
            [f"  {header[0]}", *header[1:]], [(f"  {row[0]}", *row[1:]) for row in rows]
        )
    text.print_line(_summarize(difference))


def check(difference: Difference, old: str, new: str) -> None:
    """Check that there is no difference.

    Raises:
        DifferenceError: there is one.
    """
    number = _count(difference)
    if number:
        raise DifferenceError(
            f"{old} and {new}: {text.count(number, 'difference')}", differences=number
        )


def _count(difference: Difference) -> int:
    """Return the number of differences; two images that differ in any byte have at least one."""
    if not isinstance(difference, ImageDifference):
        return len(difference)
    if difference.is_same:
        return 0
    layers = len(difference.added_layers) + len(difference.removed_layers)
    packages = len(difference.packages.changes) if difference.packages else 0
    return max(1, len(difference.changes) + layers + packages + len(difference.files or ()))


def _summarize(difference: Difference) -> str:
    if isinstance(difference, ListDifference):
        return (
            f"{len(difference.added)} added, {len(difference.removed)} removed,"
            f" {len(difference.moved)} with another digest, {len(difference.changed)} with other"
            f" referrers or signatures, {difference.same} the same"
        )
    if isinstance(difference, ImageDifference):
        if difference.is_same:
            return f"same image: {difference.new.digest}"
        return f"new bytes: {text.format_size(difference.new_bytes)}"
    found = f"{text.count(difference.images, 'image')}, {difference.content} parts found"
    extra = (
        "" if difference.extra is None else f", {text.count(len(difference.extra), 'extra name')}"
    )
    if not difference.lists_repositories:
        extra += ", other repositories unknown, since the registry does not list them"
    return f"{difference.target}: {found}, {text.count(len(difference.problems), 'problem')}{extra}"


def _describe_lists(difference: ListDifference) -> Iterator[Section]:
    image = ("IMAGE", "DIGEST")
    yield "added", image, [(item.name, item.digest.text[:_SHORT]) for item in difference.added]
    yield "removed", image, [(item.name, item.digest.text[:_SHORT]) for item in difference.removed]
    yield (
        "another digest",
        ("IMAGE", "OLD", "NEW"),
        [(item.name, item.old.text[:_SHORT], item.new.text[:_SHORT]) for item in difference.moved],
    )
    yield (
        "other referrers or signatures",
        ("IMAGE", "ADDED", "REMOVED"),
        [
            (item.name, _shorten(item.attached), _shorten(item.detached))
            for item in difference.changed
        ],
    )


def _shorten(digests: Sequence[str]) -> str:
    return " ".join(digest[:_SHORT] for digest in digests)


def _describe_images(difference: ImageDifference) -> Iterator[Section]:
    yield (
        "config",
        ("PART", "NAME", "OLD", "NEW"),
        [
            (change.kind, change.name, change.old or "-", change.new or "-")
            for change in difference.changes
        ],
    )
    layers = [("-", layer) for layer in difference.removed_layers]
    layers += [("+", layer) for layer in difference.added_layers]
    yield (
        "layers",
        (" ", "DIGEST", "SIZE"),
        [
            (sign, layer.digest.text[:_SHORT], text.format_size(layer.size))
            for sign, layer in layers
        ],
    )
    if difference.packages is not None:
        yield (
            "packages",
            ("TYPE", "NAME", "OLD", "NEW"),
            [
                (item.type, item.name, " ".join(item.old) or "-", " ".join(item.new) or "-")
                for item in difference.packages.changes
            ],
        )
        yield (
            "files that should state packages and cannot be read",
            ("PATH", "PROBLEM"),
            [(item.path, f"{item.problem} [{item.code}]") for item in difference.packages.findings],
        )
    yield (
        "files",
        (" ", "PATH", "SIZE", "DIFFERS IN", "MARKS"),
        [
            (
                _SIGNS[item.change],
                item.path,
                text.format_size(item.size),
                ", ".join(item.parts),
                ", ".join(item.marks),
            )
            for item in difference.files or ()
        ],
    )


def _describe_target(difference: TargetDifference) -> Iterator[Section]:
    yield (
        "problems",
        ("NAME", "PROBLEM", "EXPECTED", "ACTUAL"),
        [
            (
                item.name,
                f"{item.kind} {_PROBLEMS[item.code]}".strip(),
                item.digest.text[:_SHORT],
                item.actual or "",
            )
            for item in difference.problems
        ],
    )
    yield "extra", ("NAME",), [(name,) for name in difference.extra or ()]


def _print_markdown(difference: Difference, sections: Sequence[Section]) -> None:
    """Print a section and a table for each kind of difference.

    All text from outside stands in code spans, so that it cannot become markup; characters that
    would end a span or its cell are replaced by escapes.
    """
    summary = re.sub(r"[\\`*_\[\]<>|#!]", r"\\\g<0>", _summarize(difference))
    text.print_line(f"**{summary}**")
    for title, header, rows in sections:
        text.print_line()
        text.print_line(f"### {title.capitalize()}")
        text.print_line()
        text.print_line(f"| {' | '.join(head.strip().capitalize() for head in header)} |")
        text.print_line(f"| {' | '.join('---' for _ in header)} |")
        for row in rows:
            values = [text.escape(value).strip() for value in row]
            safe = [value.replace("`", r"\x60").replace("|", r"\x7c") for value in values]
            text.print_line(f"| {' | '.join(f'`{value}`' if value else '' for value in safe)} |")
