"""Errors of destinations that already contain something else."""

from __future__ import annotations

from bundler.errors.base import BundlerError


class ConflictError(BundlerError):
    """A name that has another digest, is immutable, or is requested for two images.

    Raised by destinations, and by the planning of a copy.
    """

    exit_status = 10


class DigestConflictError(ConflictError):
    """A destination reference with a digest that is not the digest of the image.

    Fields:
        expected: the digest in the reference.
        got: the digest of the image.

    Raised by ``copy``.
    """

    def __init__(self, subject: str, *, expected: str, got: str, hint: str | None = None) -> None:
        super().__init__(f"{subject}: the image has another digest: {got}", hint=hint)
        self.expected = expected
        self.got = got


class ArchiveExistsError(ConflictError):
    """An archive that exists already, of a format to which no image can be added.

    Fields:
        path: the archive.

    Raised by the transport ``docker-archive:``.
    """

    path: str

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: the archive exists, and images cannot be added to it",
            hint="specify another file, or remove this one",
        )
        self.path = path


class DirectoryExistsError(ConflictError):
    """A directory that exists already and must not be overwritten.

    Fields:
        path: the directory.

    Raised by ``sync`` where existing directories are refused.
    """

    path: str

    def __init__(self, path: str) -> None:
        super().__init__(f"{path}: the directory exists", hint="remove it, or specify another one")
        self.path = path


class NotAnImageDirectoryError(ConflictError):
    """A directory with other content than an image, which is not overwritten.

    Fields:
        path: the directory.

    Raised by the transport ``dir:``.
    """

    path: str

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: contains something other than an image, and is not overwritten",
            hint="specify a new or an empty directory",
        )
        self.path = path
