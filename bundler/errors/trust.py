"""Errors of content that is intact, but not trusted."""

from __future__ import annotations

from bundler.errors.base import BundlerError


class TrustError(BundlerError):
    """Content that is intact, but not trusted.

    Raised by the checks of policies and signatures.
    """

    exit_status = 4


class RejectedByPolicyError(TrustError):
    """An image that the policy does not accept.

    Fields:
        rule: the requirement that is not met: ``reject``, ``signedBy`` or ``sigstoreSigned`` of
            policy.json, or ``requireSigned`` of the command line.
        reference: the image, as a reference with its transport; None if it is unknown.

    Raised by the check of policy.json.
    """

    def __init__(
        self, message: str, *, rule: str, reference: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.rule = rule
        self.reference = reference


class InvalidSignatureError(TrustError):
    """A signature that is present and does not verify.

    Raised by the check of a bundle's signatures.
    """


class UnauthenticatedError(TrustError):
    """Content without a signature by any of the trusted keys.

    Raised by the check of a bundle's signatures.
    """


class RollbackError(TrustError):
    """Content that is older than what was accepted before.

    Raised by the check of a bundle's serial number.
    """


class ExpiredError(TrustError):
    """Content past its expiry date.

    Raised by the check of a bundle's inventory.
    """
