"""Signers whose statements about vulnerabilities (VEX) count.

A statement counts if it is signed as an attestation of the image: an in-toto statement in an
envelope (DSSE), by itself or in a sigstore bundle. An identity needs the bundle, which contains the
evidence of the log. A document that is not signed itself does not count, also if the manifest that
contains it is signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError, SigstoreSignatureError, UnsupportedError
from bundler.oci.json.table import Table
from bundler.trust.sigstore.bundle import Bundle, parse_bundle
from bundler.trust.sigstore.dsse import MAX_PAYLOAD, parse_envelope, parse_statement
from bundler.trust.sigstore.verify_bundle import verify_by_identity, verify_by_key

if TYPE_CHECKING:
    from bundler.trust.sigstore.certificates import OidcIdentity
    from bundler.trust.sigstore.keys import VerificationKey
    from bundler.trust.sigstore.trusted_root import TrustedRoot

PREDICATE_TYPES = ("https://openvex.dev/ns", "https://cyclonedx.org/")
"""The beginnings of the types of statements that may contain VEX."""
_REJECTIONS = (LimitError, MalformedError, SigstoreSignatureError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class VexSigner:
    """A signer by keys, or by an identity with the trusted root that verifies it."""

    label: str
    """The file of the key, or the identity."""
    images: tuple[str, ...] = ()
    """The scopes of images about which its statements count; empty: all images."""
    keys: tuple[VerificationKey, ...] = ()
    identity: OidcIdentity | None = None
    root: TrustedRoot | None = None

    def verify(self, raw: bytes, manifest: bytes) -> bytes | None:
        """Return the statement in a document about an image; None: it is not this signer's.

        Args:
            raw: the document, untrusted.
            manifest: the bytes of the manifest that the statement has to be about.
        """
        try:
            bundle = _parse(raw)
            if bundle.envelope is None:
                return None
            kind = parse_statement(bundle.envelope).predicate_type
            if not kind.startswith(PREDICATE_TYPES):
                return None
            if self.identity is not None and self.root is not None:
                verify_by_identity(bundle, manifest, self.identity, self.root, predicate_type=kind)
            else:
                verify_by_key(bundle, manifest, self.keys, predicate_type=kind)
        except _REJECTIONS:
            return None
        return bundle.envelope.payload


def _parse(raw: bytes) -> Bundle:
    """Parse a sigstore bundle, or an envelope by itself as one without evidence."""
    table = Table.parse(raw, "document", limit=2 * MAX_PAYLOAD)
    if "payload" not in table:
        return parse_bundle(raw)
    envelope = parse_envelope(table)
    return Bundle("", envelope.signature, envelope)
