"""Errors about content: damaged, untrusted, unsupported, or in conflict with a destination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bundler.errors.base import BundlerError

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

    Raised by verifying readers, and by a registry client whose server reports another digest.
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


class DamagedBundleError(IntegrityError):
    """A damaged bundle.

    Fields:
        findings: one line for each damaged or missing part.

    Raised by ``verify`` and by readers of bundles.
    """

    def __init__(self, message: str, findings: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__("\n".join([message, *findings]), hint=hint)
        self.findings = tuple(findings)


class TrustError(BundlerError):
    """Content that is intact, but not trusted. Raised by the checks of policies and signatures."""

    exit_status = 4


class RejectedByPolicyError(TrustError):
    """An image that the policy does not accept.

    Fields:
        rule: the requirement that is not met: ``reject``, ``signedBy`` or ``sigstoreSigned`` of
            policy.json, or ``requireSigned`` of the command line.
        reference: the image, as a reference with its transport; None if it is unknown.
        scope: the transport and the narrowest scope of the image, as in policy.json.
        reasons: the error of each signature that is not accepted; empty if there is no signature,
            or if none is needed.
        ignored: the numbers of signatures and attachments of other kinds: simple signatures and
            attachments that are not signatures, for ``sigstoreSigned``.
        selected: whether the image was selected from an index.
        position: the position of the image in its index, from 1, and the number of images; None
            unless all images of an index are copied.

    Raised by the check of policy.json.
    """

    def __init__(
        self,
        message: str,
        *,
        rule: str,
        reference: str | None = None,
        scope: str = "",
        reasons: Sequence[BundlerError] = (),
        ignored: tuple[int, int] = (0, 0),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.reference = reference
        self.scope = scope
        self.reasons = tuple(reasons)
        self.ignored = ignored
        self.selected = False
        self.position: tuple[int, int] | None = None


class InvalidSignatureError(TrustError):
    """A signature that does not verify.

    Fields:
        key_id: the key ID that the signature states; None if it states none.
        problem: the part that is not accepted.
        value: the value that differs, such as the signed digest or image name; empty if the problem
            has none.

    Raised by the checks of signatures of bundles, and of simple signatures of images.
    """

    def __init__(
        self,
        message: str,
        *,
        key_id: str | None = None,
        problem: SignatureProblem = "signature",
        value: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.key_id = key_id
        self.problem = problem
        self.value = value


SignatureProblem = Literal[
    "format",
    "annotation",
    "signature",
    "payload",
    "digest",
    "identity",
    "certificate",
    "issuer",
    "subject",
    "log",
    "timestamp",
    "keys",
    "unsupported",
]
"""The part of a signature that is not accepted.

``format``: the document itself; ``annotation``: a required annotation is missing; ``signature``: no
key verifies it; ``payload``: the signed content; ``digest``: the signed digest; ``identity``: the
signed image name; ``certificate``: the chain or its validity; ``issuer`` and ``subject``: the
identity in the certificate; ``log``: the proof of a transparency log; ``timestamp``: the signed
time; ``keys``: there is no key to verify it with; ``unsupported``: a feature that this program does
not verify.
"""


class SigstoreSignatureError(TrustError):
    """A sigstore signature of an image or artifact that is not accepted.

    Fields:
        problem: the part that is not accepted.
        value: the value that is missing or differs, such as an annotation or an issuer; empty if
            the problem has none.

    Raised by the verification of sigstore signatures.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: SignatureProblem,
        value: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.problem = problem
        self.value = value


class UnauthenticatedError(TrustError):
    """Content without a signature by any of the trusted keys.

    Fields:
        trusted: the IDs of the trusted keys.
        signed_by: the first 16 digits of the IDs of the keys that signed it.

    Raised by the check of a bundle's signatures.
    """

    def __init__(
        self,
        message: str,
        *,
        trusted: Sequence[str] = (),
        signed_by: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.trusted = tuple(trusted)
        self.signed_by = tuple(signed_by)


class TooFewSignersError(UnauthenticatedError):
    """Content that fewer trusted keys have signed than required.

    Fields:
        signers: the IDs of the trusted keys that signed it, each once.
        required: the required number of keys.

    Raised by the check of the signatures of bundles and of trust files.
    """

    def __init__(
        self,
        message: str,
        *,
        signers: Sequence[str],
        required: int,
        trusted: Sequence[str] = (),
        signed_by: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, trusted=trusted, signed_by=signed_by, hint=hint)
        self.signers = tuple(signers)
        self.required = required


class UnfitSignerError(UnauthenticatedError):
    """Content signed by a key of the trust file that may not sign it.

    Fields:
        key_id: the ID of the key.
        problem: the reason: it has another ``role``, is not valid for the ``stream``, or was
            ``not-yet-valid`` or ``expired`` when the content was signed.
        stream: the stream of the bundle; None if the content is not a bundle, or not parsed.

    Raised by the check of a bundle against the trust file of the site.
    """

    def __init__(
        self,
        message: str,
        *,
        key_id: str,
        problem: UnfitSignerProblem,
        stream: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, trusted=(), signed_by=(key_id[:16],), hint=hint)
        self.key_id = key_id
        self.problem = problem
        self.stream = stream


UnfitSignerProblem = Literal["role", "stream", "not-yet-valid", "expired"]


class TrustFileError(TrustError):
    """A trust file that is not accepted, or that has expired.

    Fields:
        problem: ``expired``; ``fingerprint``: it is not the expected file; ``gap``: a version is
            missing; ``fork``: two files have one version; ``version``: the version in the file
            differs from the expected one; ``format``: the file is malformed.
        version: the version that the error is about; None if it is unknown.

    Raised by the check of a trust file, and of the newer versions in a bundle.
    """

    def __init__(
        self,
        message: str,
        *,
        problem: TrustFileProblem,
        version: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.problem = problem
        self.version = version


TrustFileProblem = Literal["expired", "fingerprint", "gap", "fork", "version", "format"]


class ExpiredError(TrustError):
    """Content past its expiry date. Raised by the check of a bundle's inventory."""


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


class UnnamedDestinationError(UnsupportedError):
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
