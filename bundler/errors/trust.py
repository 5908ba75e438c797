"""Errors of trust: policies, signatures, and trust files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bundler.errors.base import BundlerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_REJECTIONS = 30  # images that a message names


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
        policy: the file with the policy; empty if it is unknown.

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
        self.policy = ""


class RejectedImagesError(RejectedByPolicyError):
    """Several images that the policy does not accept; the other fields describe the first one.

    Fields:
        rejections: the error of each image.

    Raised by the check of the images of a bundle.
    """

    def __init__(self, rejections: Sequence[RejectedByPolicyError]) -> None:
        first = rejections[0]
        policy = first.policy or "the policy"
        lines = [error.message for error in rejections[:_MAX_REJECTIONS]]
        if more := len(rejections) - len(lines):
            lines.append(f"and {more:,} more")
        super().__init__(
            "\n".join([f"{len(rejections):,} images rejected by {policy}", *lines]),
            rule=first.rule,
            reference=first.reference,
            scope=first.scope,
            reasons=first.reasons,
            ignored=first.ignored,
            hint=f"see {policy}, which states the images that this site accepts",
        )
        self.policy = first.policy
        self.rejections = tuple(rejections)


class InvalidSignatureError(TrustError):
    """A signature that does not verify.

    Fields:
        key_id: the key ID that the signature states; None if it states none.
        problem: the part that is not accepted.
        value: the value that differs, such as the signed digest or image name; empty if the problem
            has none.

    Raised by the checks of signatures of bundles, and of simple and Notation signatures of images.
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
    "expired",
    "keys",
    "unsupported",
]
"""The part of a signature that is not accepted.

``format``: the document itself; ``annotation``: a required annotation is missing; ``signature``: no
key verifies it; ``payload``: the signed content; ``digest``: the signed digest; ``identity``: the
signed image name; ``certificate``: the chain or its validity; ``issuer`` and ``subject``: the
identity in the certificate; ``log``: the proof of a transparency log; ``timestamp``: the signed
time; ``expired``: the expiry that the signer set; ``keys``: there is no key to verify it with;
``unsupported``: a feature that this program does not verify.
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


class MissingSignatureError(TrustError):
    """An image without a signature that the bundle manifest requires.

    Fields:
        requirements: the requirements that are not met, as the bundle manifest specifies them.
        reasons: the errors of the signatures that are not accepted, with the manifest's digest.

    Raised by the verification of images before an export.
    """

    def __init__(
        self,
        message: str,
        *,
        requirements: Sequence[str],
        reasons: Sequence[BundlerError] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.requirements = tuple(requirements)
        self.reasons = tuple(reasons)


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

    Raised by the check of the signatures of bundles and of receipts.
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
            missing; ``fork``: two files that enough keys signed have one version; ``signers``: it
            differs from the version that the site has or has used before, and the keys of the site
            have not signed it;
            ``version``: the version in the file differs from the expected one; ``threshold``: too
            few keys have signed it; ``format``: the file is malformed.
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


TrustFileProblem = Literal[
    "expired", "fingerprint", "gap", "fork", "signers", "version", "threshold", "format"
]


class UnsignedTrustFileError(TrustFileError):
    """A version of a trust file that too few keys with the role ``trust`` have signed.

    Fields:
        signers: the IDs of the keys with that role that signed it.
        required: the required number of keys.

    Raised as ``TrustFileError``. No option accepts it, unlike a bundle that is not signed.
    """

    def __init__(self, message: str, *, signers: Sequence[str], required: int, hint: str) -> None:
        super().__init__(message, problem="threshold", hint=hint)
        self.signers = tuple(signers)
        self.required = required


class ExpiredError(TrustError):
    """Content past its expiry date. Raised by the check of a bundle's inventory."""
