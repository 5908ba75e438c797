"""Errors about the content of bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bundler.errors.access import NotFoundError
from bundler.errors.base import PartialError
from bundler.errors.content import IntegrityError
from bundler.errors.counts import count, shortlist

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOT_REGULAR = "not a regular file, but a link, a directory, a pipe or a device"
"""The problem of a name in a bundle that is neither opened nor followed."""
_MAX_ABSENT = 100  # blobs that are listed


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


class AbsentBlob(NamedTuple):
    """A blob that a bundle presupposes, and that its target does not have.

    Fields:
        digest: its digest.
        size: its size in bytes.
        images: the full names of the images that need it.
    """

    digest: str
    size: int
    images: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.digest}: {self.size:,} bytes (in {shortlist(self.images)})"


class VolumesOwedError(PartialError):
    """A bundle on several volumes of which some have not come.

    Fields:
        owed: the numbers of the missing volumes.
        total: the number of volumes of the bundle.
        layers: the digests of the layers on these volumes that a target lacks, if they are known.

    Raised by readers of some of the volumes, and by ``import`` after it has pushed what they have.
    """

    def __init__(
        self,
        subject: str,
        owed: Iterable[int],
        total: int,
        *,
        layers: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        numbers = sorted(owed)
        label = "volume" if len(numbers) == 1 else "volumes"
        super().__init__(
            f"{subject}: the bundle is not complete: {label} {', '.join(map(str, numbers))} of"
            f" {total} missing",
            [],
            hint=hint or "specify the directories of all volumes, or insert the missing ones",
        )
        self.owed = tuple(numbers)
        self.total = total
        self.layers = tuple(layers)


class PartsOwedError(PartialError):
    """A split archive of which some parts have not come.

    Fields:
        owed: the numbers of the parts that are missing or cut, as far as they are known.
        failures: a line for each image that needs them.

    Raised by readers of some of the parts, and by ``import`` after it has pushed what they have.
    """

    def __init__(self, subject: str, owed: Sequence[int], images: Sequence[str] = ()) -> None:
        numbers = ", ".join(f"{number:03}" for number in owed)
        label = "part" if len(owed) == 1 else "parts"
        super().__init__(
            f"{subject}: the archive is not complete: {label} {numbers} missing or cut",
            images,
            hint="run the same command again when they have come: content that was pushed is not"
            " sent again",
        )
        self.owed = tuple(owed)


class AbsentBlobsError(NotFoundError):
    """A target that does not have all blobs that a bundle presupposes.

    Fields:
        target: the target.
        blobs: the blobs.
        refused: the repository that has the only blob, and from which the registry refuses to mount
            it; None: no repository has the blobs.

    Raised by ``import``, before anything is pushed.
    """

    def __init__(
        self, target: str, blobs: Sequence[AbsentBlob], *, refused: str | None = None
    ) -> None:
        number, size = count(len(blobs), "blob"), sum(blob.size for blob in blobs)
        problem = f"lacks {number} ({size:,} bytes) that the bundle presupposes"
        if refused is not None:
            problem = f"refuses to mount a blob that the bundle presupposes from {refused}"
        lines = [str(blob) for blob in blobs[:_MAX_ABSENT]]
        if (more := len(blobs) - _MAX_ABSENT) > 0:
            lines.append(f"and {count(more, 'more blob')}")
        super().__init__(
            "\n".join([f"{target}: {problem}; nothing was pushed", *lines]),
            hint="export again without --have, or with a new holdings file: airbundle holdings"
            f" {target} -o FILE",
        )
        self.target = target
        self.blobs = tuple(blobs)
        self.refused = refused


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
