"""Skopeo's messages for images that the policy rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.cli.frontends.skopeo.messages import local_errors
from bundler.cli.frontends.skopeo.messages.reference_display import DisplayReference
from bundler.errors import ConfigError, InvalidSignatureError, SigstoreSignatureError
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from bundler.errors import BundlerError, RejectedByPolicyError


def describe_rejection(error: RejectedByPolicyError) -> str:
    """Return Skopeo's message for an image that the policy rejects."""
    front = ""
    if error.selected:
        front = "copying system image from manifest list: "
    elif error.position is not None:
        number, count = error.position
        front = f"copying image {number}/{count} from manifest list: "
    front += "Source image rejected: "
    if error.rule == "reject":
        image = DisplayReference.parse(error.reference or "")
        return f"{front}Running image {image} is rejected by policy."
    if error.rule == "requireSigned":
        return f"{front}No signature verification policy found for image {error.scope}"
    reasons = [_describe_reason(reason) for reason in error.reasons]
    if len(reasons) > 1:
        return f"{front}None of the signatures were accepted, reasons: {'; '.join(reasons)}"
    if reasons:
        return front + reasons[0]
    simple, others = error.ignored
    counts = ""
    if simple or others:
        counts = f" ({simple} non-sigstore signatures, {others} sigstore non-signature attachments)"
    return f"{front}A signature was required, but no signature exists{counts}"


def _describe_reason(reason: BundlerError) -> str:
    match reason:
        case (
            InvalidSignatureError(problem="identity", value=name)
            | SigstoreSignatureError(problem="identity", value=name)
        ):
            return f"Signature for identity {quote(name)} is not accepted"
        case (
            InvalidSignatureError(problem="digest", value=digest)
            | SigstoreSignatureError(problem="digest", value=digest)
        ):
            return f"Signature for digest {digest} does not match"
        case InvalidSignatureError(problem="keys"):
            return "No public keys imported"
        case InvalidSignatureError(problem="unsupported", value=key_type) if key_type:
            return f'Unimplemented "keyType" value {quote(key_type)}'
        case SigstoreSignatureError(problem="annotation", value=name):
            return f"missing {name} annotation"
        case ConfigError(path=str() as path):
            return local_errors.describe_open_error(reason, path) or reason.message
        case _:
            return reason.message
