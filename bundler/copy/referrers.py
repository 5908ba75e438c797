"""List the referrers of a manifest: those that a registry lists, and those under cosign's tags."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.ports import ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
