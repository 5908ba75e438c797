"""Verify sigstore bundles offline: by a key, or by an identity and a carried trusted root.

The evidence of an identity is verified in this order:

1. the log entries: promise or proof, and that they are about this signature
2. the trusted times: those of promises, and of timestamps by a trusted authority
3. the certificate: its chain at each of these times, its own log, and the identity
4. the signature, and only then the content

https://github.com/sigstore/architecture-docs/blob/main/client-spec.md#4-verification
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import SigstoreSignatureError
from bundler.oci.digest import Digest
from bundler.trust.sigstore import certificates
from bundler.trust.sigstore.dsse import parse_statement
from bundler.trust.sigstore.logs.certificate_log import verify_certificate_log
from bundler.trust.sigstore.logs.inclusion import verify_inclusion
from bundler.trust.sigstore.logs.log_entry import parse_log_entry
from bundler.trust.sigstore.timestamps import verify_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from bundler.trust.sigstore.bundle import Bundle
    from bundler.trust.sigstore.certificates import OidcIdentity
    from bundler.trust.sigstore.dsse import Statement
    from bundler.trust.sigstore.keys import VerificationKey
    from bundler.trust.sigstore.trusted_root import TrustedRoot

COSIGN_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
"""The type of a statement that only signs an image."""


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """The statement of a signer who was verified."""

    key: VerificationKey
    statement: Statement | None = None
    """None: the artifact itself is signed."""
    certificate: x509.Certificate | None = field(default=None, repr=False)
    """The certificate of the signer; None if the key itself is trusted."""
    times: tuple[datetime, ...] = ()
    """The trusted times at which the signature existed; empty for a key without a log."""


def verify_by_key(
    bundle: Bundle,
    artifact: bytes,
    keys: Sequence[VerificationKey],
    *,
    root: TrustedRoot | None = None,
    predicate_type: str = COSIGN_SIGNATURE,
) -> VerifiedBundle:
    """Verify that one of the keys signed ``artifact`` or a statement about it.

    Args:
        bundle: the bundle.
        artifact: the signed content, such as the manifest of an image.
        keys: the trusted keys. The hint in the bundle does not select one.
        root: the trusted logs, of which one must have recorded the signature; None: no log is
            required.
        predicate_type: the expected type of a statement. A signature of the artifact itself is
            accepted only where the statement would be no more than a signature.

    Raises:
        SigstoreSignatureError: the bundle is not accepted.
    """
    if bundle.certificates:
        raise SigstoreSignatureError(
            "the bundle is signed by a certificate (expected a key)", problem="signature"
        )
    signed = _get_signed(bundle, artifact)
    for key in keys:
        try:
            key.verify_in_bundle(bundle.signature, signed)
        except SigstoreSignatureError:
            continue
        times = () if root is None else _verify_entries(bundle, artifact, key.spki, root)
        return VerifiedBundle(key, _check_content(bundle, artifact, predicate_type), None, times)
    raise SigstoreSignatureError(
        "the signature does not match a trusted key",
        problem="signature",
        value=", ".join(key.id[:16] for key in keys),
    )


def verify_by_identity(
    bundle: Bundle,
    artifact: bytes,
    identity: OidcIdentity,
    root: TrustedRoot,
    *,
    predicate_type: str = COSIGN_SIGNATURE,
) -> VerifiedBundle:
    """Verify that an identity signed ``artifact`` or a statement about it.

    Args:
        bundle: the bundle.
        artifact: the signed content, such as the manifest of an image.
        identity: the expected OIDC provider and subject.
        root: the trusted logs and authorities.
        predicate_type: the expected type of a statement, as for ``verify_by_key``.

    Raises:
        SigstoreSignatureError: the bundle is not accepted.
    """
    if not bundle.certificates:
        raise SigstoreSignatureError(
            "the bundle is signed by a key (expected a certificate)", problem="certificate"
        )
    certificate, *untrusted = (
        certificates.parse_der_certificate(item, "certificate") for item in bundle.certificates
    )
    verifier = certificates.get_der(certificate)
    times = _verify_entries(bundle, artifact, verifier, root)
    times += tuple(
        verify_timestamp(token, bundle.signature, root.timestamp_authorities)
        for token in bundle.timestamps
    )
    if not times:
        raise SigstoreSignatureError(
            "there is no trusted time of the signature", problem="timestamp"
        )
    for moment in times:
        issuer = _verify_chain(certificate, untrusted, root, moment)
        if root.certificate_logs:  # a private instance may have none
            verify_certificate_log(certificate, issuer, root)
    certificates.check_issuer(certificate, identity.issuer)
    _check_subject(certificate, identity.subject)
    key = certificates.get_key(certificate)
    key.verify_in_bundle(bundle.signature, _get_signed(bundle, artifact))
    statement = _check_content(bundle, artifact, predicate_type)
    return VerifiedBundle(key, statement, certificate, times)


def _verify_entries(
    bundle: Bundle, artifact: bytes, verifier: bytes, root: TrustedRoot
) -> tuple[datetime, ...]:
    """Verify all entries of trusted logs, at least one; return the times of their promises.

    Each must be about the signature, the signer and the content of the bundle.
    """
    times = []
    verified = 0
    for entry in bundle.entries:
        log = root.find_log(entry.log_id)
        if log is None:
            continue
        if entry.promise is not None:
            moment = entry.promise.verify([log.key])
            if moment not in log.period:
                raise SigstoreSignatureError(
                    "the key of the transparency log was not valid at the time of the entry",
                    problem="log",
                )
            times.append(moment)
        if entry.proof is not None:
            # Newer logs sign with Ed25519, and their name is that of their host.
            origin = log.host if log.key.raw_ed25519 is not None else None
            verify_inclusion(entry.proof, entry.recorded.body, log.key, origin)
        parsed = parse_log_entry(entry.recorded.body)
        if parsed.kind != entry.kind:
            raise SigstoreSignatureError(
                f"the log entry is of the kind {parsed.kind} (expected {entry.kind[:80]})",
                problem="log",
                value=parsed.kind,
            )
        if parsed.covers == "payload":
            content = b"" if bundle.envelope is None else bundle.envelope.payload
        else:
            content = _get_signed(bundle, artifact)
        parsed.check(verifier, bundle.signature, content)
        verified += 1
    if not verified:
        raise SigstoreSignatureError(
            "no trusted transparency log has recorded the signature", problem="log"
        )
    return tuple(times)


def _verify_chain(
    certificate: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    root: TrustedRoot,
    moment: datetime,
) -> x509.Certificate:
    """Verify the chain of a certificate to one of the authorities; return its issuer."""
    failure = None
    for item in root.authorities:
        if moment not in item.period:
            continue
        try:
            chain = certificates.verify_chain(certificate, untrusted, item.authority, moment)
        except SigstoreSignatureError as error:
            failure = error
        else:
            return chain[1] if len(chain) > 1 else chain[0]
    raise failure or SigstoreSignatureError(
        "no authority is trusted for the time of the signature", problem="certificate"
    )


def _check_subject(certificate: x509.Certificate, expected: str) -> None:
    emails, uris = certificates.find_subjects(certificate)
    found = [*emails, *uris]
    if not expected or expected not in found:
        got = ", ".join(found)[:200]
        raise SigstoreSignatureError(
            f"the certificate is for {got or 'nobody'} (expected {expected})",
            problem="subject",
            value=got,
        )


def _get_signed(bundle: Bundle, artifact: bytes) -> bytes:
    return artifact if bundle.envelope is None else bundle.envelope.signed


def _check_content(bundle: Bundle, artifact: bytes, predicate_type: str) -> Statement | None:
    """Check what was signed, after the signature was verified; return the statement."""
    if bundle.envelope is None:
        if predicate_type != COSIGN_SIGNATURE:
            raise SigstoreSignatureError(
                f"the artifact itself is signed (expected a statement {predicate_type})",
                problem="payload",
            )
        return None
    statement = parse_statement(bundle.envelope)
    if statement.predicate_type != predicate_type:
        raise SigstoreSignatureError(
            f"the statement is of the type {statement.predicate_type[:200]!r}"
            f" (expected {predicate_type})",
            problem="payload",
            value=statement.predicate_type[:200],
        )
    if not any(statement.is_about(Digest.of(artifact, name)) for name in ("sha256", "sha512")):
        raise SigstoreSignatureError("the statement is about another artifact", problem="digest")
    return statement
