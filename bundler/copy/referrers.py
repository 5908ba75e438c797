"""List the referrers of a manifest: those that a registry lists, and those under cosign's tags.

A registry also returns the signatures under a tag of cosign as signatures of the manifest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.oci import manifest
from bundler.ports import ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.image import Referrer
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest

_COSIGN_SUFFIXES: Mapping[str | None, tuple[str, ...]] = {
    None: (".sig", ".att", ".sbom"),
    ".att": (".sig",),
    ".sbom": (".sig",),
    ".sig": (),
}
"""The suffixes of cosign's tags for the referrers of an object, by the suffix of its own tag.

Cosign does not sign signatures, so no suffix follows ``.sig``. Otherwise, a registry that returns
a manifest for every tag would cause an endless sequence of requests.
"""

_SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_COSIGN_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
_SIGNATURE_TYPES = frozenset(
    {
        "application/vnd.cncf.notary.signature",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.cosign.simplesigning.v1+json",
    }
)


def list_referrers(
    source: Source, subject: Digest, suffix: str | None = None
) -> Iterator[tuple[str | None, Descriptor]]:
    """List referrers with their cosign tag; the tag is None if the registry lists the referrer.

    ``suffix`` is the suffix of the cosign tag of ``subject`` itself; None if it has none.
    """
    if isinstance(source, ListsReferrers):
        for descriptor in source.referrers(subject):
            yield None, replace(descriptor, annotations={})
    for ending in _COSIGN_SUFFIXES[suffix]:
        tag = f"{subject.text.replace(':', '-')}{ending}"
        try:
            yield tag, source.resolve(tag)
        except NotFoundError:
            continue


def may_be_signature(tag: str | None) -> bool:
    """Return whether a referrer with this tag, or without a tag, may be a signature."""
    return tag is None or tag.endswith(".sig")


def is_signature(tag: str | None, parsed: Manifest) -> bool:
    """Return whether a referrer is a signature: of cosign, of Notation, or a sigstore bundle.

    A sigstore bundle is an attestation if it states another predicate than that of a signature.
    """
    if tag is not None:
        return tag.endswith(".sig")
    artifact_type = manifest.get_artifact_type(parsed) or ""
    if artifact_type.startswith(_SIGSTORE_BUNDLE):
        return parsed.annotations.get(_PREDICATE, _COSIGN_SIGNATURE) == _COSIGN_SIGNATURE
    return artifact_type in _SIGNATURE_TYPES


def leave_out_referrers(
    signatures: Mapping[Digest, tuple[bytes, ...]], referrers: Sequence[Referrer]
) -> dict[Digest, tuple[bytes, ...]]:
    """Return the signatures of each manifest that are not copied as ``referrers``."""
    if not signatures:
        return {}
    from bundler.oci import signature  # noqa: PLC0415 - if there are any

    attached = {item.subject for item in referrers if item.tag and item.tag.endswith(".sig")}
    kept = {
        digest: tuple(
            raw for raw in found if digest not in attached or not signature.is_sigstore(raw)
        )
        for digest, found in signatures.items()
    }
    return {digest: found for digest, found in kept.items() if found}
