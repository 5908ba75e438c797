"""Errors of valid requests that cannot be fulfilled: no support, or no possible conversion."""

from __future__ import annotations

from bundler.errors.base import BundlerError


class UnsupportedError(BundlerError):
    """A valid request that this program, a transport or a registry cannot fulfil.

    Raised in every layer.
    """


class ReadOnlyTransportError(UnsupportedError):
    """A destination whose transport can only be read.

    Fields:
        reference: the destination.
        transport: its transport, without the colon.

    Raised by the transports ``sif:`` and ``tarball:``.
    """

    def __init__(self, reference: str, transport: str, *, hint: str | None = None) -> None:
        super().__init__(f"{reference}: images in {transport}: can only be read", hint=hint)
        self.reference = reference
        self.transport = transport


class UnavailableTransportError(UnsupportedError):
    """A transport that is known by name only.

    Fields:
        transport: its name, without the colon.

    Raised by the transport ``ostree:``.
    """

    def __init__(self, transport: str, *, hint: str | None = None) -> None:
        super().__init__(f"{transport}: this transport is not supported", hint=hint)
        self.transport = transport


class NotADockerArchiveError(UnsupportedError):
    """A tar archive that ``docker save`` did not write.

    Fields:
        path: the archive.
        missing: the member that it does not have.

    Raised by the transport ``docker-archive:``.
    """

    path: str

    def __init__(self, path: str, *, missing: str, hint: str | None = None) -> None:
        super().__init__(f"{path}: not a docker-archive: it has no {missing}", hint=hint)
        self.path = path
        self.missing = missing


class CannotConvertError(BundlerError):
    """A manifest that would have to change and must not, or for which no form fits.

    Fields:
        reason: why it must not change, or why no form fits.

    Raised by the decision about conversions.
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{message}: {reason}", hint=hint)
        self.reason = reason


class FormatUnsupportedError(CannotConvertError):
    """A requested manifest format that does not support a requested form of layers.

    Fields:
        feature: ``zstd`` or ``encrypted``.
        media_type: the media type of the requested format.

    Raised by the decision about conversions.
    """

    def __init__(
        self, subject: str, *, feature: str, media_type: str, hint: str | None = None
    ) -> None:
        super().__init__(
            f"{subject}: {feature} layers do not fit the requested format",
            reason=f"{media_type} does not support them",
            hint=hint,
        )
        self.feature = feature
        self.media_type = media_type


class SingleImageDestinationError(CannotConvertError):
    """An index for a destination that stores single images only.

    Raised by the decision about conversions.
    """

    def __init__(self, subject: str, *, hint: str | None = None) -> None:
        super().__init__(
            f"{subject}: an index of several images",
            reason="the destination stores single images only",
            hint=hint,
        )
