"""The signed content of an image's sigstore signature."""

from __future__ import annotations

from functools import partial

from bundler.errors import SigstoreSignatureError
from bundler.trust.simple_signing.signed_payload import SignedPayload


class Payload(SignedPayload):
    """The content of a sigstore signature of an image, as the signer stated it."""

    __slots__ = ()
    kind = "cosign container image signature"
    optional_may_be_null = True


def parse_payload(raw: bytes) -> Payload:
    """Parse the content of a signature.

    Raises:
        SigstoreSignatureError: ``raw`` is not the content of an image's signature.
    """
    return Payload.parse(raw, partial(SigstoreSignatureError, problem="payload"))
