"""Holdings file: a signed list of the layers that targets have, with their repositories.

The first line is canonical JSON: when which targets were read. Each further line is a blob, as in
``presupposed.txt`` of a bundle. The signatures are files beside it, as those of a receipt. An
import checks each blob at its target, so a wrong list may cost a trip, but never completeness.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from bundler import __version__
from bundler.bundle.format.inventory import presupposed
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.records import signed_file
from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.oci.reference import is_repository_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from bundler.trust.keys import PublicKey
    from bundler.trust.trust_files.trust_file import TrustedKey

TYPE = "airbundle/holdings/v1"
MAX_FILE = 64 * 1024 * 1024
_MAX_TEXT = 4096


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a target was read: which layers it would list if it had them."""

    target: str
    """The target, as the user specified it."""
    complete: bool
    """Whether all images were read; False: only those that a receipt names."""
    repositories: tuple[str, ...] | None = None
    """The repositories that were read, sorted; None: the target has no repositories."""

    def describe(self) -> str:
        """Return a description for people."""
        extent = "all" if self.complete else "some"
        if self.repositories is None:
            return f"{extent} images"
        number = len(self.repositories)
        noun = "repository" if number == 1 else "repositories"
        return f"{extent} images of {number:,} {noun}"


@dataclass(frozen=True, slots=True)
class HoldingsFile:
    """The content of a holdings file."""

    created: datetime
    """When the targets were read, in UTC and whole seconds."""
    targets: tuple[str, ...]
    """The targets, as the user specified them; shown to people only."""
    blobs: Mapping[Digest, HeldBlob]
    names: Mapping[str, Digest] = field(default_factory=dict)
    """The names of images, and their digests; empty unless they were asked for."""
    covers: tuple[Coverage, ...] = ()
    """How far each target was read; empty: unknown, as in a file of an older version."""

    def to_bytes(self) -> bytes:
        """Return the bytes that are written and signed.

        Raises:
            LimitError: there are too many blobs.
        """
        head: dict[str, Any] = {
            "_type": TYPE,
            "created": timestamps.format_utc(self.created),
            "tool": {"name": "airbundle", "version": __version__},
            "targets": list(self.targets),
        }
        if self.names:
            head["names"] = {name: digest.text for name, digest in self.names.items()}
        if self.covers:
            head["covers"] = [
                {"target": item.target, "complete": item.complete}
                | ({} if item.repositories is None else {"repositories": list(item.repositories)})
                for item in self.covers
            ]
        lines = presupposed.render(self.blobs.values(), subject="holdings", limit=MAX_FILE)
        return strict.dumps(head) + b"\n" + lines

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> Self:
        """Parse a holdings file.

        Raises:
            MalformedError, LimitError: it is not valid, or too large.
        """
        head, _, lines = raw.partition(b"\n")
        table = Table.parse(head, subject)
        if table.value.get("_type") != TYPE:
            raise MalformedError(
                f"{subject}: not a holdings file (expected {TYPE!r})",
                hint="write one at the site with airbundle holdings; it also reads receipts",
            )
        targets = table.texts("targets")
        covers = tuple(map(_parse_coverage, table.tables("covers")))
        if not all(
            text.isprintable() and len(text) <= _MAX_TEXT
            for text in (*targets, *(item.target for item in covers))
        ):
            raise table.problem("targets is not printable text")
        return cls(
            timestamps.parse_utc(table.text("created"), subject),
            targets,
            presupposed.parse(lines, subject, limit=MAX_FILE, first=2),
            {name: Digest(text) for name, text in table.text_map("names").items()},
            covers,
        )


def _parse_coverage(table: Table) -> Coverage:
    repositories = table.texts("repositories") if "repositories" in table else None
    for path in repositories or ():
        if not is_repository_path(path):
            raise table.problem(f"repositories: {path[:200]!r} is not a repository")
    return Coverage(
        table.text("target"), complete=table.flag("complete"), repositories=repositories
    )


def read(
    path: Path, keys: Sequence[TrustedKey] | None, stream: str, threshold: int = 1
) -> tuple[HoldingsFile, tuple[PublicKey, ...]]:
    """Read a holdings file for a bundle of ``stream``; return it and its signers.

    ``threshold`` of ``keys`` must have signed it; None: signatures are not verified.

    Raises:
        InvalidSignatureError: a signature with the ID of a given key does not verify.
        UnauthenticatedError: too few of the keys signed it.
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError: it is not valid.
    """
    raw = signed_file.read_file(path, MAX_FILE)
    if keys is None:
        return HoldingsFile.parse(raw, str(path)), ()
    signers = signed_file.find_signers(path, raw, keys)
    content = HoldingsFile.parse(raw, str(path))
    return content, signed_file.check_signers(path, signers, stream, content.created, threshold)


def merge(lists: Iterable[Mapping[Digest, HeldBlob]]) -> dict[Digest, HeldBlob]:
    """Return the blobs of all ``lists``; the first one decides on the size of a blob."""
    found: dict[Digest, HeldBlob] = {}
    for blob in (blob for blobs in lists for blob in blobs.values()):
        known = found.setdefault(blob.digest, blob)
        if known.repositories != blob.repositories and known.size == blob.size:
            repositories = tuple(sorted({*known.repositories, *blob.repositories}))
            found[blob.digest] = HeldBlob(blob.digest, blob.size, repositories)
    return found
