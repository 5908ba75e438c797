"""Errors of content that is damaged or malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence


class IntegrityError(BundlerError):
    """Content that does not match its name, size or digest.

    Raised by the engine and by the readers of local formats.
    """

    exit_status = 3


class DigestMismatchError(IntegrityError):
    """Content with another digest than its descriptor's.

    Fields:
        expected: the digest of the descriptor.
        got: the digest of the content.

    Raised by verifying readers, and by a registry client whose server reports another digest.
    """

    def __init__(self, subject: str, *, expected: str, got: str, hint: str | None = None) -> None:
        super().__init__(f"{subject}: digest mismatch: expected {expected}, got {got}", hint=hint)
        self.expected = expected
        self.got = got


class SizeMismatchError(IntegrityError):
    """A stream that is shorter or longer than its descriptor's size.

    Fields:
        expected: the size in bytes.

    Raised by verifying readers.
    """

    def __init__(self, subject: str, *, expected: int, got: str, hint: str | None = None) -> None:
        super().__init__(f"{subject}: expected {expected} bytes, got {got}", hint=hint)
        self.expected = expected


class MalformedError(IntegrityError):
    """A document from outside that does not have the form of its media type.

    Raised by all parsers of untrusted documents and archives.
    """


class NotPlainFileError(MalformedError):
    """A link, a device, a pipe or a directory where a plain file is expected.

    Fields:
        path: where it is.
        os_error: the operating system's error; None if the file could be opened.

    Raised by the readers and writers of files.
    """

    def __init__(
        self, path: str, *, os_error: OSError | None = None, hint: str | None = None
    ) -> None:
        expected = "a plain file" if os_error is None else "a plain file in a plain directory"
        super().__init__(f"{path}: not {expected}", hint=hint)
        self.path = path
        self.os_error = os_error


class DamagedBundleError(IntegrityError):
    """A damaged bundle.

    Fields:
        findings: one line for each damaged or missing part.

    Raised by ``verify`` and by readers of bundles.
    """

    def __init__(self, message: str, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = tuple(findings)
