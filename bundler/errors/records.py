"""Errors of the records of a site: bundles that they do not permit, and lost records."""

from __future__ import annotations

from bundler.errors.trust import TrustError


class StreamError(TrustError):
    """A bundle that the records of the site do not permit.

    Fields:
        stream: the name of the stream.
        serial: the serial of the bundle.

    Raised by the check of a bundle against the records.
    """

    def __init__(self, message: str, *, stream: str, serial: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stream = stream
        self.serial = serial


class UnknownStreamError(StreamError):
    """A bundle of a stream that this site has not adopted. Raised as ``StreamError``."""


class RollbackError(StreamError):
    """A bundle that is older than one that this site has imported from the same stream.

    Fields:
        stream: the name of the stream.
        serial: the serial of the bundle.
        recorded: the highest serial in the records.

    Raised by the check of a bundle against the records.
    """

    def __init__(
        self, message: str, *, stream: str, serial: int, recorded: int, hint: str | None = None
    ) -> None:
        super().__init__(message, stream=stream, serial=serial, hint=hint)
        self.recorded = recorded


class EquivocationError(StreamError):
    """Two different bundles with the same stream and serial, both with valid signatures.

    Fields:
        stream: the name of the stream.
        serial: the serial of both bundles.
        expected: the digest of the ``bundle.json`` in the records.
        got: the digest of the ``bundle.json`` of this bundle.

    Raised by the check of a bundle against the records.
    """

    def __init__(
        self,
        message: str,
        *,
        stream: str,
        serial: int,
        expected: str,
        got: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, stream=stream, serial=serial, hint=hint)
        self.expected = expected
        self.got = got


class FutureBundleError(StreamError):
    """A bundle whose serial or date is far ahead of the clock. Raised as ``StreamError``."""


class LostRecordsError(TrustError):
    """Records that are missing, damaged, or older than they were.

    Raised by the reader of the records; ``path`` is the file that is not as expected.
    """

    path: str

    def __init__(self, path: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem}", path=path, hint=hint)
