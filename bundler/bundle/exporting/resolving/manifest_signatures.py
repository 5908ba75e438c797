"""A signed manifest, and its signatures as they are found at its source.

They are read from where the source stores them, from cosign's tag, and from referrers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format.signatures import attached_signatures
from bundler.bundle.format.signatures.signature_artifacts import (
    NOTATION_SIGNATURE,
    SIGSTORE_BUNDLE,
    may_be_artifact,
    read_artifact,
)
from bundler.copy.resolving.fetch import read_signatures
from bundler.errors import (
    BundlerError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    TrustError,
    UnsupportedError,
)
from bundler.oci import signature
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import ListsReferrers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.format.signatures.signature_artifacts import SignatureArtifact
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source
    from bundler.trust.sigstore.bundle import Bundle

MAX_SIGNATURES = 64
"""Maximum number of signatures of each kind that are read and verified for a manifest."""
REJECTIONS = (IntegrityError, LimitError, MalformedError, TrustError, UnsupportedError)
"""The errors of a signature that does not count."""
_NOTATION_FORMS = {
    (NOTATION_SIGNATURE, "application/vnd.oci.empty.v1+json"),
    (None, NOTATION_SIGNATURE),  # before OCI 1.1
}
"""The artifact type and the media type of the config.

https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md#oci-signatures
"""


@dataclass(slots=True)
class ManifestSignatures:
    """A manifest and its signatures, which are read when they are first needed."""

    source: Source
    descriptor: Descriptor
    raw: bytes
    problems: list[BundlerError] = field(default_factory=list)
    """The errors of signatures that cannot be read."""
    _stored: list[bytes] | None = None
    _bundles: list[Bundle] | None = None
    _notation: list[SignatureArtifact] | None = None

    @property
    def digest(self) -> Digest:
        """The digest of the manifest."""
        return self.descriptor.digest

    def read_stored(self) -> list[bytes]:
        """Return simple signatures and attachments, as ``oci.signature`` encodes them."""
        if self._stored is None:
            found = list(read_signatures(self.source, self.digest))
            tag = f"{self.digest.algorithm}-{self.digest.hex}.sig"
            try:
                found += attached_signatures.read(self.source, [self.source.resolve(tag)])
            except NotFoundError:
                pass
            except REJECTIONS as error:
                self.problems.append(error.without_traceback())
            self._stored = list(dict.fromkeys(found))
        return self._stored

    def list_attachments(self) -> Iterator[SigstoreSignature]:
        """Yield the sigstore signatures among the stored ones."""
        for raw in self.read_stored()[:MAX_SIGNATURES]:
            if signature.is_sigstore(raw):
                try:
                    parsed = signature.parse(raw)
                except REJECTIONS as error:
                    self.problems.append(error.without_traceback())
                    continue
                if isinstance(parsed, SigstoreSignature) and parsed.media_type == SIGSTORE_PAYLOAD:
                    yield parsed

    def list_bundles(self) -> list[Bundle]:
        """Return the sigstore bundles among the referrers."""
        from bundler.trust.sigstore.bundle import parse_bundle  # noqa: PLC0415 - only to verify

        if self._bundles is None:
            self._bundles = []
            for found in self._read_artifacts(SIGSTORE_BUNDLE):
                try:
                    self._bundles.append(parse_bundle(found.content, found.subject))
                except REJECTIONS as error:
                    self.problems.append(error.without_traceback())
        return self._bundles

    def list_notation_signatures(self) -> list[SignatureArtifact]:
        """Return the artifacts with envelopes of Notation among the referrers."""
        if self._notation is None:
            self._notation = []
            for found in self._read_artifacts(NOTATION_SIGNATURE):
                config = found.manifest.config.media_type
                named = found.manifest.artifact_type
                if (named, config) in _NOTATION_FORMS:
                    self._notation.append(found)
                else:
                    problem = f"{found.subject}: not the manifest of a Notation signature"
                    self.problems.append(MalformedError(problem))
        return self._notation

    def _read_artifacts(self, kind: str) -> Iterator[SignatureArtifact]:
        """Read the referrers whose artifact type begins with ``kind``, and has one layer."""
        listed = (
            self.source.referrers(self.digest) if isinstance(self.source, ListsReferrers) else ()
        )
        items = [item for item in listed if may_be_artifact(item, kind)]
        for item in items[:MAX_SIGNATURES]:
            try:
                found = read_artifact(self.source, item, kind)
            except (NotFoundError, *REJECTIONS) as error:
                self.problems.append(error.without_traceback())
                continue
            if found is not None:
                yield found
        if len(items) > MAX_SIGNATURES:
            problem = f"too many signatures (only the first {MAX_SIGNATURES} were verified)"
            self.problems.append(LimitError(problem))
