"""Verify the attestations of an image: its bundle, its source, and the keys that signed both.

Any registry, layout or bundle that lists referrers can contain them. One attestation that enough
trusted keys signed is sufficient. Others, and artifacts that only claim to be one, do not count and
do not refuse the image. A registry that lists more than ``MAX_ATTESTATIONS`` of them before the
true one hides it, as if it did not list it; the report says so.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.bundle.format.signatures import attestation
from bundler.bundle.format.signatures.signature_artifacts import (
    SIGSTORE_BUNDLE,
    may_be_artifact,
    read_artifact,
)
from bundler.copy.resolving.fetch import fetch
from bundler.errors import (
    IntegrityError,
    LimitError,
    NotFoundError,
    TrustError,
    UnauthenticatedError,
    UnsupportedError,
)
from bundler.ports import ListsReferrers
from bundler.trust.bundle_trust import signers_to_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bundler.bundle.format.signatures.attestation import ExportStatement
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Reference, Source
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey

MAX_ATTESTATIONS = 256
"""Maximum number of attestations of one image that are read."""

_REJECTIONS = (IntegrityError, LimitError, NotFoundError, TrustError, UnsupportedError)
_NO_ATTESTATION = "the image was exported without --attest, or its registry stores no referrers"
_MAX_REASONS = 3


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """A statement about an image, and the trusted keys that signed it."""

    statement: ExportStatement
    signers: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class AttestationReport:
    """The attestations of an image that are trusted, the latest export first."""

    image: str
    digest: Digest
    """The digest of the root, which its content has."""
    attestations: tuple[VerifiedAttestation, ...]
    rejected: tuple[str, ...]
    """The reasons why others do not count."""
    names: Mapping[str, str]
    """The names that the site gives to keys, by their IDs."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "image": self.image,
            "digest": self.digest.text,
            "attestations": [
                {"reference": item.statement.reference}
                | item.statement.to_json()
                | {"signers": signers_to_json(item.signers, self.names)}
                for item in self.attestations
            ],
            "rejected": list(self.rejected),
        }


def verify_attestations(
    reference: Reference,
    options: OpenOptions,
    trust: BundleTrust,
    now: datetime,
    cancellation: Cancellation,
) -> AttestationReport:
    """Verify the attestations of an image with the keys that may sign bundles of their streams.

    Raises:
        NotFoundError: the image does not exist.
        UnauthenticatedError: it has no attestation that is trusted.
        TrustFileError: the trust file has expired.
        UnsupportedError: the transport does not list referrers.
    """
    problems: list[str] = []
    removed = {item.public: item for item in trust.find_removed()}
    keys = [*trust.keys, *removed]
    revoked: set[str] = set()
    signed: defaultdict[ExportStatement, dict[PublicKey, None]] = defaultdict(dict)
    with closing(transports.open_source(reference, options)) as source:
        root = source.resolve(reference.name)
        fetch(source, root, str(reference))  # its content must have the digest
        for item in _list_candidates(source, reference, root.digest, problems):
            cancellation.check()
            try:
                artifact = read_artifact(source, item, SIGSTORE_BUNDLE)
                if artifact and attestation.may_contain(artifact.manifest.annotations):
                    key, statement = attestation.verify(artifact.content, root.digest, keys)
                    if former := removed.get(key):
                        problems.append(
                            f"signed with key {former.label}, which is no longer trusted: version"
                            f" {former.version} of the trust file removed it"
                        )
                        revoked.add(key.id[:16])
                    else:
                        signed[statement][key] = None
            except _REJECTIONS as error:
                problems.append(error.message)
    trusted = []
    for statement, found in signed.items():
        signers = tuple(found)
        try:
            trust.check_signers(signers, [key.id[:16] for key in signers])
            accepted = trust.check_bundle(signers, statement.stream, statement.exported, now)
        except UnauthenticatedError as error:
            problems.append(error.message)
        else:
            trusted.append(VerifiedAttestation(statement, accepted))
    reasons = tuple(dict.fromkeys(problems))
    if not trusted:
        more = f"; and {len(reasons) - _MAX_REASONS} more" if len(reasons) > _MAX_REASONS else ""
        listed = f": {'; '.join(reasons[:_MAX_REASONS])}{more}" if reasons else ""
        raise UnauthenticatedError(
            f"{reference}: no trusted attestation of an export{listed}",
            trusted=[key.id for key in trust.bundle_keys],
            signed_by=sorted({key.id[:16] for found in signed.values() for key in found} | revoked),
            hint=_find_hint(trust) if reasons else _NO_ATTESTATION,
        )
    trusted.sort(key=lambda item: (item.statement.exported, item.statement.serial), reverse=True)
    return AttestationReport(str(reference), root.digest, tuple(trusted), reasons, trust.names)


def _find_hint(trust: BundleTrust) -> str:
    """Return the next step if attestations exist, but none is trusted."""
    if trust.version is None:
        return "compare the fingerprints, and specify the right public key: --key FILE.pub"
    return (
        "if a rotation has removed the key that signed it, verify with the version before:"
        " --trust trust/N.trust.json, in the directory of the trust file"
    )


def _list_candidates(
    source: Source, reference: Reference, digest: Digest, problems: list[str]
) -> list[Descriptor]:
    """Return the referrers that may be attestations; more than the limit are a problem."""
    if not isinstance(source, ListsReferrers):
        raise UnsupportedError(
            f"{reference}: transport {reference.transport} cannot list attestations",
            hint="use docker:// or oci:",
        )
    found = [
        item
        for item in source.referrers(digest)
        if may_be_artifact(item, SIGSTORE_BUNDLE) and attestation.may_contain(item.annotations)
    ]
    if len(found) > MAX_ATTESTATIONS:
        problems.append(f"only {MAX_ATTESTATIONS} of {len(found):,} were read")
    return found[:MAX_ATTESTATIONS]
