"""A signed manifest, and its signatures as they are found at its source.

They are read from where the source stores them, from cosign's tag, and from referrers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.bundle.format import attached_signatures
from bundler.content.streams import VerifiedReader
from bundler.copy.fetch import fetch, read_signatures
from bundler.errors import (
    BundlerError,
    IntegrityError,
    LimitError,
    MalformedError,
    NotFoundError,
    TrustError,
    UnsupportedError,
)
from bundler.oci import manifest, signature
from bundler.oci.manifest import ImageManifest
from bundler.oci.signature import SIGSTORE_PAYLOAD, SigstoreSignature
from bundler.ports import ListsReferrers, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source
    from bundler.trust.sigstore.bundle import Bundle

MAX_SIGNATURES = 64
"""Maximum number of signatures of each kind that are read and verified for a manifest."""
MAX_CONTENT = 4 * 1024 * 1024
"""Maximum size of a bundle, and of an envelope of Notation, in bytes."""
REJECTIONS = (IntegrityError, LimitError, MalformedError, TrustError, UnsupportedError)
"""The errors of a signature that does not count."""
_BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
_NOTATION_TYPE = "application/vnd.cncf.notary.signature"
_NOTATION_FORMS = {
    (_NOTATION_TYPE, "application/vnd.oci.empty.v1+json"),
    (None, _NOTATION_TYPE),  # before OCI 1.1
}
"""The artifact type and the media type of the config.

https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md#oci-signatures
"""


@dataclass(frozen=True, slots=True)
class SignatureArtifact:
    """A referrer that contains a signature."""

    subject: str
    """Its name in messages."""
    manifest: ImageManifest
    """It has one layer."""
    content: bytes = field(repr=False)
    """The content of the layer."""


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
                self.problems.append(error)
            self._stored = list(dict.fromkeys(found))
        return self._stored

    def list_attachments(self) -> Iterator[SigstoreSignature]:
        """Yield the sigstore signatures among the stored ones."""
        for raw in self.read_stored()[:MAX_SIGNATURES]:
            if signature.is_sigstore(raw):
                try:
                    parsed = signature.parse(raw)
                except REJECTIONS as error:
                    self.problems.append(error)
                    continue
                if isinstance(parsed, SigstoreSignature) and parsed.media_type == SIGSTORE_PAYLOAD:
                    yield parsed

    def list_bundles(self) -> list[Bundle]:
        """Return the sigstore bundles among the referrers."""
        from bundler.trust.sigstore.bundle import parse_bundle  # noqa: PLC0415 - only to verify

        if self._bundles is None:
            self._bundles = []
            for found in self._read_artifacts(_BUNDLE_TYPE):
                try:
                    self._bundles.append(parse_bundle(found.content, found.subject))
                except REJECTIONS as error:
                    self.problems.append(error)
        return self._bundles

    def list_notation_signatures(self) -> list[SignatureArtifact]:
        """Return the artifacts with envelopes of Notation among the referrers."""
        if self._notation is None:
            self._notation = []
            for found in self._read_artifacts(_NOTATION_TYPE):
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
        items = [
            item
            for item in listed
            if item.artifact_type is None or item.artifact_type.startswith(kind)
        ]
        for item in items[:MAX_SIGNATURES]:
            try:
                found = self._read_artifact(item, kind)
            except (NotFoundError, *REJECTIONS) as error:
                self.problems.append(error)
                continue
            if found is not None:
                yield found
        if len(items) > MAX_SIGNATURES:
            problem = f"too many signatures (only the first {MAX_SIGNATURES} were verified)"
            self.problems.append(LimitError(problem))

    def _read_artifact(self, item: Descriptor, kind: str) -> SignatureArtifact | None:
        subject = f"signature {item.digest}"
        raw = fetch(self.source, item, subject)
        parsed = manifest.parse(raw, item.media_type, subject=subject)
        if not (manifest.get_artifact_type(parsed) or "").startswith(kind):
            return None  # the source did not state its type
        if not isinstance(parsed, ImageManifest) or len(parsed.layers) != 1:
            raise MalformedError(f"{subject}: not the manifest of a signature")
        (layer,) = parsed.layers
        if not 0 <= layer.size <= MAX_CONTENT:
            raise LimitError(f"{subject}: too large (expected at most {MAX_CONTENT:,} bytes)")
        with self.source.open(Node.of(layer, "layer")) as stream:
            content = VerifiedReader(stream, subject, digest=layer.digest, size=layer.size).read()
        return SignatureArtifact(subject, parsed, content)
