"""Errors of disks and other media."""

from __future__ import annotations

from bundler.errors.base import BundlerError


class MediumError(BundlerError):
    """A disk or stick that cannot be read or written.

    Fields:
        path: the file or directory; None if it is unknown.
        os_error: the operating system's error; None if it reported none.

    Raised wherever files are read or written.
    """

    exit_status = 5

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        os_error: OSError | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        self.os_error = os_error


class NoSpaceError(MediumError):
    """A medium with too little free space.

    Fields:
        path: where space is needed.
        needed: the number of bytes needed; None if unknown.
        free: the number of free bytes.

    Raised by checks before writing, and by writers when the medium is full.
    """

    def __init__(
        self, path: str, *, needed: int | None, free: int, os_error: OSError | None = None
    ) -> None:
        amount = "more" if needed is None else f"{needed:,} bytes"
        super().__init__(
            f"{path}: needs {amount}, but only {free:,} bytes are free",
            path=path,
            os_error=os_error,
            hint="free some space, or specify a destination on a larger medium; a re-run resumes",
        )
        self.needed = needed
        self.free = free


class LockedError(MediumError):
    """Another process holds the lock of a file or directory.

    Raised by writers of local formats and of files of credentials.
    """
