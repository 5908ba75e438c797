"""Errors of destinations: a conflict with what they hold, or a form that they do not support."""

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


class ConflictError(BundlerError):
    """A name that holds something else, is immutable, or is requested for two images.

    Raised by destinations, and by the planning of a copy.
    """

    exit_status = 10


class DigestConflictError(ConflictError):
    """A destination whose reference has another digest than the image.

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
            f"{path}: this archive exists, and no image can be added to it",
            hint="name another file, or remove this one",
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
        super().__init__(f"{path}: this directory exists", hint="remove it, or name another one")
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
            f"{path}: holds something that is not an image, and is left as it is",
            hint="name a new or an empty directory",
        )
        self.path = path
