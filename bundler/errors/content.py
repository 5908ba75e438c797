"""Errors about content: damaged, unsupported, or in conflict with a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bundler.errors.base import BundlerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


class IntegrityError(BundlerError):
    """Content that does not match its name, size or digest.

    Raised by the engine and by the readers of local formats.
    """

    exit_status = 3


class DigestMismatchError(IntegrityError):
    """Content whose digest differs from its descriptor's.

    Fields:
        expected: the digest of the descriptor.
        got: the digest of the content.

    Raised by verifying readers.
    """

    def __init__(self, subject: str, *, expected: str, got: str) -> None:
        super().__init__(f"{subject}: digest mismatch (expected {expected}, got {got})")
        self.expected = expected
        self.got = got


class SizeMismatchError(IntegrityError):
    """A stream that is shorter or longer than its descriptor states.

    Fields:
        expected: the size in bytes.

    Raised by verifying readers.
    """

    def __init__(self, subject: str, *, expected: int, got: str) -> None:
        super().__init__(f"{subject}: size mismatch (expected {expected} bytes, got {got})")
        self.expected = expected


class MalformedError(IntegrityError):
    """An untrusted document that does not conform to its format.

    Raised by all parsers of untrusted documents and archives.
    """


class NotRegularFileError(MalformedError):
    """A link, a device, a pipe or a directory where a regular file is expected.

    Raised by the readers and writers of files.
    """

    def __init__(
        self, path: str, *, os_error: OSError | None = None, hint: str | None = None
    ) -> None:
        expected = (
            "a regular file" if os_error is None else "a regular file without links in its path"
        )
        super().__init__(f"{path}: not {expected}", path=path, os_error=os_error, hint=hint)


class UnsupportedError(BundlerError):
    """A valid request that this program, a transport or a registry cannot fulfil.

    Raised in every layer.
    """


class ReadOnlyTransportError(UnsupportedError):
    """A destination whose transport is read-only.

    Fields:
        reference: the destination.
        transport: its transport, without the colon.

    Raised by the transports ``sif:`` and ``tarball:``.
    """

    def __init__(self, reference: str, transport: str, *, hint: str | None = None) -> None:
        super().__init__(f"{reference}: transport {transport} is read-only", hint=hint)
        self.reference = reference
        self.transport = transport


class SignaturesUnsupportedError(UnsupportedError):
    """A destination that cannot store signatures.

    Fields:
        reason: why signatures are needed: the image is ``signed`` at its source, or the copy
            requests ``signing``.

    Raised by the plan of a copy.
    """

    def __init__(
        self, message: str, *, reason: Literal["signed", "signing"], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


class SignatureStoreError(UnsupportedError):
    """A store of signatures that is not configured, or cannot be changed.

    Fields:
        problem: ``attachments``: attachments of sigstore signatures are off for the repository;
            ``read-only``: the signatures are on a web server.
        location: the repository, or the URL of the signatures.

    Raised by the transport ``docker:``.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: Literal["attachments", "read-only"],
        location: str,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.problem = problem
        self.location = location


class UntaggedManifestError(UnsupportedError):
    """A registry that refuses a manifest without a tag, such as those of an index.

    Fields:
        manifest: the digest of the manifest.

    Raised by destinations in registries. No tag is invented: it would remain visible, and the index
    would be damaged if it were deleted or moved.
    """

    def __init__(self, subject: str, manifest: str, cause: BundlerError) -> None:
        reason = cause.exchange.reason if cause.exchange else ""
        super().__init__(
            f"{subject}: the registry accepts no manifest without a tag, such as those of an index,"
            f" or is read-only{f' ({reason})' if reason else ''}",
            hint="push a single platform: --platform of airbundle copy and sync, or platforms in"
            " the bundle manifest of the export",
        )
        self.exchange = cause.exchange
        self.manifest = manifest


class UnnamedDestinationError(UsageError):
    """A destination without an image name, which a signature needs.

    Fields:
        reference: the destination.

    Raised by ``copy`` and ``sync``.
    """

    def __init__(self, reference: str, *, hint: str | None = None) -> None:
        super().__init__(f"{reference}: no image name to sign", hint=hint)
        self.reference = reference


class UnavailableTransportError(UnsupportedError):
    """A transport that is recognized but not supported.

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
        missing: the name of the missing member.

    Raised by the transport ``docker-archive:``.
    """

    def __init__(self, path: str, *, missing: str, hint: str | None = None) -> None:
        problem = f"{path}: not a docker-archive ({missing} is missing)"
        super().__init__(problem, path=path, hint=hint)
        self.missing = missing


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


class CannotConvertError(BundlerError):
    """A required conversion of a manifest that is not allowed or not possible.

    Fields:
        reason: the reason why the conversion is not allowed or not possible.

    Raised by the decision about conversions.
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{message}: {reason}", hint=hint)
        self.reason = reason


class FormatUnsupportedError(CannotConvertError):
    """A requested manifest format that does not support zstd or encrypted layers.

    Fields:
        feature: ``zstd`` or ``encrypted``.
        media_type: the media type of the requested format.

    Raised by the decision about conversions.
    """

    def __init__(
        self, subject: str, *, feature: str, media_type: str, hint: str | None = None
    ) -> None:
        super().__init__(
            f"{subject}: {feature} layers cannot be stored in the requested format",
            reason=f"{media_type} does not support them",
            hint=hint,
        )
        self.feature = feature
        self.media_type = media_type


class FixedIndexError(CannotConvertError):
    """An index whose media type would have to change, although its digest must not.

    Fields:
        media_type: the media type that the index would get.
        reason: why it must not change.

    Raised by the decision about conversions.
    """

    def __init__(self, subject: str, *, media_type: str, reason: str) -> None:
        super().__init__(f"{subject}: the index would become {media_type}", reason=reason)
        self.media_type = media_type


class SignedOriginalError(CannotConvertError):
    """A signed image whose manifest its source can return only in another form.

    Raised by the resolution of an image.
    """

    def __init__(self, subject: str) -> None:
        super().__init__(
            f"{subject}: its manifest changes, because the layers are stored uncompressed",
            reason="the image is signed",
            hint="copy the image without its signatures: --remove-signatures",
        )


class UnsupportedLayerError(CannotConvertError):
    """A layer that is not a tar archive, for a destination that stores only such layers.

    Fields:
        media_type: the media type of the layer.

    Raised by the decision about conversions.
    """

    def __init__(self, subject: str, *, media_type: str) -> None:
        super().__init__(
            f"{subject}: {media_type} is not a tar archive",
            reason="the destination stores tar archives only",
            hint="copy it to oci:, dir: or a registry, which store any layer",
        )
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
    """A name that points to another digest, is immutable, or is requested for two images.

    Fields:
        subjects: the names or properties that conflict; empty if ``path`` conflicts.

    Raised by destinations, and by the planning of a copy.
    """

    exit_status = 10

    def __init__(
        self,
        message: str,
        *,
        subjects: Sequence[str] = (),
        path: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.subjects = tuple(subjects)


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
    """An existing archive in a format to which images cannot be added.

    Raised by the transport ``docker-archive:``.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: the archive exists, and images cannot be added to it",
            path=path,
            hint="specify another file, or remove this one",
        )


class DirectoryExistsError(ConflictError):
    """An existing directory that must not be overwritten.

    Raised by ``sync`` where existing directories are refused.
    """

    path: str

    def __init__(self, path: str) -> None:
        hint = "remove it, or specify another one"
        super().__init__(f"{path}: the directory exists", path=path, hint=hint)


class NotAnImageDirectoryError(ConflictError):
    """A directory that contains something other than an image, and is not overwritten.

    Raised by the transport ``dir:``.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}: contains something other than an image, and is not overwritten",
            path=path,
            hint="specify a new or an empty directory",
        )
