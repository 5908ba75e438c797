"""Errors about the content of bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.errors.content import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_REGULAR = "not a regular file, but a link, a directory, a pipe or a device"
"""The problem of a name in a bundle that is neither opened nor followed."""


class UnusableBlob(NamedTuple):
    """A blob that a bundle should contain, and does not contain with its size.

    Fields:
        digest: its digest.
        expected: its size in bytes.
        got: the size of the file; None: there is no regular file.
        special: whether a link, directory, pipe or device has the name of the file.
    """

    digest: str
    expected: int
    got: int | None
    special: bool = False

    def __str__(self) -> str:
        if self.special:
            return f"{self.digest}: {NOT_REGULAR}"
        if self.got is None:
            return f"{self.digest}: missing (expected {self.expected:,} bytes)"
        return f"{self.digest}: wrong size (expected {self.expected:,} bytes, got {self.got:,})"


class DamagedBundleError(IntegrityError):
    """A damaged bundle.

    Fields:
        findings: one line for each damaged or missing part.
        blobs: the blobs that are missing or have the wrong size, if only these were compared.

    Raised by ``verify`` and by readers of bundles.
    """

    def __init__(
        self,
        message: str,
        findings: Sequence[str] = (),
        *,
        blobs: Sequence[UnusableBlob] = (),
        hint: str | None = None,
    ) -> None:
        findings = (*findings, *map(str, blobs))
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = findings
        self.blobs = tuple(blobs)
