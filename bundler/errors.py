"""Every error that may reach a user, each with the exit status that tells what to do next.

    BundlerError                         1   read the line
    ├── UnsupportedError
    ├── CannotConvertError
    ├── UsageError                       2   mend the command or the file
    │   ├── InvalidReferenceError
    │   ├── InvalidBundleManifestError
    │   └── ConfigError
    ├── IntegrityError                   3   the content is damaged: replace the named part
    │   ├── DigestMismatchError
    │   ├── SizeMismatchError
    │   ├── MalformedError
    │   └── DamagedBundleError
    ├── TrustError                       4   whole, but not trusted
    │   ├── RejectedByPolicyError
    │   ├── InvalidSignatureError
    │   ├── UnauthenticatedError
    │   ├── RollbackError
    │   └── ExpiredError
    ├── MediumError                      5   free, replace or unlock; run again, it resumes
    │   ├── NoSpaceError
    │   └── LockedError
    ├── RegistryError                    6   run again, it resumes
    │   ├── RateLimitedError
    │   ├── UnauthorizedError            7   log in, ask for the right
    │   └── DeniedError                  7
    ├── LimitError                       8   something untrusted was too large, deep or long
    ├── NotFoundError                    9
    ├── ConflictError                   10   a name holds something else, or two images want it
    ├── PartialError                    11   part is done; the report lists the rest
    └── CancelledError             130, 143  run again, it resumes

A message is one line: what, which value, expected and got. A hint is a command or a setting.
Neither ever holds a secret, or a URL with credentials or a query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exchange(NamedTuple):
    """What was asked of a registry, and what it answered; nothing in it is secret.

    ``status`` is None where there was no answer. ``entries`` holds the code and the message of
    each error that the answer names, ``body`` the beginning of an answer that names none.
    """

    method: str
    url: str
    status: int | None = None
    entries: tuple[tuple[str, str], ...] = ()
    body: str = ""


class BundlerError(Exception):
    """Any failure that this program explains; ``hint`` names the next step, if there is one.

    ``exchange`` is what a registry was asked and said, where that is why.
    """

    exit_status: ClassVar[int] = 1
    exchange: Exchange | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UnsupportedError(BundlerError):
    """The thing is well formed, but this program or that place cannot do it."""


class CannotConvertError(BundlerError):
    """A manifest would have to change, and ``reason`` says why it may not."""

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{message}: {reason}", hint=hint)
        self.reason = reason


class UsageError(BundlerError):
    """The command line, or a file that the user wrote, has to be mended."""

    exit_status = 2


class InvalidReferenceError(UsageError):
    """Text that does not name an image, a repository or a place."""


class InvalidBundleManifestError(UsageError):
    """A bundle manifest with mistakes; ``findings`` holds each as ``path:line:column: text``."""

    def __init__(self, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join(findings), hint=hint)
        self.findings = tuple(findings)


class ConfigError(UsageError):
    """A configuration file that cannot be read, parsed or believed."""


class IntegrityError(BundlerError):
    """Content that is not what its name, size or digest says."""

    exit_status = 3


class DigestMismatchError(IntegrityError):
    """Bytes whose digest is not the one that was asked for."""

    def __init__(self, what: str, *, expected: str, got: str, hint: str | None = None) -> None:
        super().__init__(f"{what}: digest mismatch: expected {expected}, got {got}", hint=hint)
        self.expected = expected
        self.got = got


class SizeMismatchError(IntegrityError):
    """A stream that ended early or did not end where its descriptor says; sizes in bytes."""

    def __init__(self, what: str, *, expected: int, got: str, hint: str | None = None) -> None:
        super().__init__(f"{what}: expected {expected} bytes, got {got}", hint=hint)
        self.expected = expected


class MalformedError(IntegrityError):
    """A document from outside that does not have the form its media type promises."""


class DamagedBundleError(IntegrityError):
    """A bundle with damage; ``findings`` holds one line for each damaged or missing part."""

    def __init__(self, message: str, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = tuple(findings)


class TrustError(BundlerError):
    """Whole, but not trusted."""

    exit_status = 4


class RejectedByPolicyError(TrustError):
    """A policy's requirement was not met."""


class InvalidSignatureError(TrustError):
    """A signature that is there and does not verify."""


class UnauthenticatedError(TrustError):
    """No signature by a key that was given."""


class RollbackError(TrustError):
    """Older than what was accepted before."""


class ExpiredError(TrustError):
    """Past its date."""


class MediumError(BundlerError):
    """A disk or stick that cannot be read or written."""

    exit_status = 5


class NoSpaceError(MediumError):
    """Too little room; ``needed`` and ``free`` in bytes, ``needed`` None where it is not known."""

    def __init__(self, where: str, *, needed: int | None, free: int) -> None:
        wants = "more" if needed is None else f"{needed:,} bytes"
        super().__init__(
            f"{where}: needs {wants}, but only {free:,} bytes are free",
            hint="free some space, or name a destination on a larger medium; a re-run resumes",
        )
        self.needed = needed
        self.free = free


class LockedError(MediumError):
    """Another process is at work in the same place."""


class RegistryError(BundlerError):
    """A registry, or the way to it, failed.

    ``status`` is the HTTP status (None: no answer), ``codes`` are the error codes of the
    distribution specification, ``temporary`` tells whether the same request may succeed later,
    ``retry_after`` after how many seconds, where the registry said so.
    """

    exit_status = 6

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        codes: Sequence[str] = (),
        temporary: bool = False,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.codes = tuple(codes)
        self.temporary = temporary
        self.retry_after = retry_after


class RateLimitedError(RegistryError):
    """Asked too often; ``retry_after`` is in seconds, None where the registry did not say."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = 429,
        codes: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            status=status,
            codes=codes,
            temporary=True,
            retry_after=retry_after,
            hint="wait and run again, or lower limits.requestsPerSecond for this registry",
        )


class UnauthorizedError(RegistryError):
    """The registry wants credentials, or does not take those that were given."""

    exit_status = 7


class DeniedError(RegistryError):
    """The credentials are known, but do not allow this."""

    exit_status = 7


class LimitError(BundlerError):
    """Something untrusted was larger, deeper or longer than allowed."""

    exit_status = 8


class NotFoundError(BundlerError):
    """An image, tag, platform, blob or file that is not there."""

    exit_status = 9


class ConflictError(BundlerError):
    """A name holds something else, is immutable, or is wanted by two images."""

    exit_status = 10


class PartialError(BundlerError):
    """Part is done; ``failures`` holds one line for each thing that is not."""

    exit_status = 11

    def __init__(self, message: str, failures: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *failures]), hint=hint)
        self.failures = tuple(failures)


class CancelledError(BundlerError):
    """Stopped from outside; nothing half done was published."""

    exit_status = 130

    def __init__(self, message: str = "stopped", *, signal_number: int = 2) -> None:
        super().__init__(message, hint="run the same command again: it resumes")
        self.signal_number = signal_number

    @property
    def status(self) -> int:
        """The exit status: 128 and the signal's number."""
        return 128 + self.signal_number
