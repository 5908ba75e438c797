"""List the referrers of a manifest: those that a registry lists, and those under cosign's tags.

A registry also returns the signatures under a tag of cosign as signatures of the manifest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.oci import signature
from bundler.ports import ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.image import Referrer
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

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


def leave_out_referrers(
    signatures: Mapping[Digest, tuple[bytes, ...]], referrers: Sequence[Referrer]
) -> dict[Digest, tuple[bytes, ...]]:
    """Return the signatures of each manifest that are not copied as ``referrers``."""
    attached = {item.subject for item in referrers if item.tag and item.tag.endswith(".sig")}
    kept = {
        digest: tuple(
            raw for raw in found if digest not in attached or not signature.is_sigstore(raw)
        )
        for digest, found in signatures.items()
    }
    return {digest: found for digest, found in kept.items() if found}
