"""Errors of a site's records, and of rehearsals without a network."""

from __future__ import annotations

from bundler.errors.content import TrustError, UnsupportedError


class UnknownStreamError(TrustError):
    """A bundle of a stream that this site has not adopted.

    Fields:
        stream: the name of the stream.
        serial: the serial of the bundle.

    Raised by the check of a bundle against the records.
    """

    def __init__(self, message: str, *, stream: str, serial: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stream = stream
        self.serial = serial


class RollbackError(TrustError):
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
        super().__init__(message, hint=hint)
        self.stream = stream
        self.serial = serial
        self.recorded = recorded


class EquivocationError(TrustError):
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
        super().__init__(message, hint=hint)
        self.stream = stream
        self.serial = serial
        self.expected = expected
        self.got = got


class FutureBundleError(TrustError):
    """A bundle whose serial or date is far ahead of the clock.

    Fields:
        stream: the name of the stream.
        serial: the serial of the bundle.

    Raised by the check of a bundle against the records.
    """

    def __init__(self, message: str, *, stream: str, serial: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.stream = stream
        self.serial = serial


class LostRecordsError(TrustError):
    """Records that are missing, damaged, or older than they were.

    Raised by the reader of the records; ``path`` is the file that is not as expected.
    """

    path: str

    def __init__(self, path: str, problem: str, *, hint: str | None = None) -> None:
        super().__init__(f"{path}: {problem}", path=path, hint=hint)


class OfflineError(UnsupportedError):
    """An attempt to use the network in a command that must not.

    Fields:
        operation: the refused operation, for example ``socket.connect``.

    Raised by every use of a socket while the network is refused.
    """

    def __init__(self, operation: str) -> None:
        super().__init__(
            f"network access refused ({operation})",
            hint="an import of this bundle would need a network beside the target: see the policy"
            " and its signature stores",
        )
        self.operation = operation
