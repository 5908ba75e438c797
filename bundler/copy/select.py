"""Which of an index's images travel, and what root stands for them afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.errors import NotFoundError
from bundler.oci import media_types
from bundler.oci.platform import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Collection

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Index

_ATTESTATION_OF = "vnd.docker.reference.digest"


@dataclass(frozen=True, slots=True)
class Selection:
    """The platforms that are wanted.

    None: the whole index, its digest kept. One: that platform's own manifest. Several: a smaller
    index with a new digest (``strip``), or the old index with children missing (``sparse``).
    """

    platforms: tuple[Platform, ...] = ()
    index: Literal["strip", "sparse"] = "strip"

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.platforms


EVERYTHING = Selection()


def children(index: Index, selection: Selection, what: str) -> tuple[Descriptor, ...]:
    """The entries of ``index`` that are wanted, in the index's order.

    With several platforms, BuildKit's attestations of the chosen images stay with them.

    Raises:
        NotFoundError: a wanted platform is not offered.
    """
    if selection.everything:
        return index.manifests
    chosen = {_child(index, platform, what).digest for platform in selection.platforms}
    if len(selection.platforms) > 1:
        chosen |= {
            entry.digest
            for entry in index.manifests
            if _attests(entry, chosen) and entry.digest not in chosen
        }
    return tuple(entry for entry in index.manifests if entry.digest in chosen)


def check_platform(offered: Platform, selection: Selection, what: str) -> None:
    """Refuse a single image that is not of a wanted platform.

    Raises:
        NotFoundError: it is of another one.
    """
    if selection.everything:
        return
    if all(choose(wanted, [offered]) is None for wanted in selection.platforms):
        wanted = ", ".join(map(str, selection.platforms))
        raise NotFoundError(
            f"{what}: no image for {wanted}; it is for {offered} only",
            hint="ask for a platform that it offers, or leave platforms out",
        )


def _child(index: Index, platform: Platform, what: str) -> Descriptor:
    candidates = [entry for entry in index.manifests if entry.media_type in media_types.MANIFESTS]
    position = choose(platform, [entry.platform for entry in candidates])
    if position is None:
        offered = sorted({str(entry.platform) for entry in candidates if entry.platform})
        raise NotFoundError(
            f"{what}: no image for {platform}; it offers {', '.join(offered) or 'no platforms'}",
            hint="ask for a platform that it offers, or leave platforms out",
        )
    return candidates[position]


def _attests(entry: Descriptor, chosen: Collection[Digest]) -> bool:
    return entry.annotations.get(_ATTESTATION_OF) in {digest.text for digest in chosen}
