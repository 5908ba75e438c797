"""Which of an index's images travel, and what root stands for them afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import NoPlatformError
from bundler.oci import media_types
from bundler.oci.platform import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Collection

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Index, IndexMode

_ATTESTATION_OF = "vnd.docker.reference.digest"


_ZSTD_TWIN = "io.github.containers.compression.zstd"


@dataclass(frozen=True, slots=True)
class Selection:
    """The platforms to copy.

    None: the whole index, its digest kept. One: that platform's own manifest. Several: a smaller
    index with a new digest (``strip``), or the old index with children missing (``sparse``).
    With ``all`` the whole index is copied, whatever the platforms.
    """

    platforms: tuple[Platform, ...] = ()
    index: IndexMode = "strip"
    variants: bool = False
    """Each platform means all its variants, and an index stays one even for a single platform."""
    best: Platform | None = None
    """Of an index, the one image that runs best there; an image that is in none, as it is."""
    index_only: bool = False
    """The index alone, whose images are elsewhere."""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.index == "all" or not (self.platforms or self.best or self.index_only)

    @property
    def single(self) -> bool:
        """Whether one image of an index is wanted, and not the index."""
        one = len(self.platforms) == 1 and not self.variants
        return not self.everything and (self.best is not None or one)


EVERYTHING = Selection()


def children(index: Index, selection: Selection, what: str) -> tuple[Descriptor, ...]:
    """The entries of ``index`` that are wanted, in the index's order.

    With several platforms, BuildKit's attestations of the chosen images stay with them.

    Raises:
        NoPlatformError: a wanted platform is not offered.
    """
    if selection.everything:
        return index.manifests
    if selection.index_only:
        return ()
    if selection.best is not None:
        return (instance(index, selection.best, what),)
    find = _variants if selection.variants else _child
    chosen = {one.digest for wanted in selection.platforms for one in find(index, wanted, what)}
    if not selection.single:
        chosen |= {
            entry.digest
            for entry in index.manifests
            if _attests(entry, chosen) and entry.digest not in chosen
        }
    return tuple(entry for entry in index.manifests if entry.digest in chosen)


def instance(index: Index, platform: Platform, what: str) -> Descriptor:
    """The image that runs best on ``platform``.

    The best platform goes first, then zstd before gzip, then the order of the list; in an OCI
    index an image for no platform is the last resort.

    Raises:
        NoPlatformError: none runs there.
    """
    offered = [entry for entry in index.manifests if entry.media_type in media_types.MANIFESTS]
    if index.media_type == media_types.OCI_INDEX:
        offered.sort(key=lambda entry: entry.annotations.get(_ZSTD_TWIN) != "true")
    position = choose(platform, [entry.platform for entry in offered])
    if position is not None:
        return offered[position]
    anywhere = [entry for entry in offered if entry.platform is None]
    if anywhere and index.media_type == media_types.OCI_INDEX:
        return anywhere[0]
    raise _not_offered(platform, index, what)


def check_platform(offered: Platform, selection: Selection, what: str) -> None:
    """Refuse a single image that is not of a wanted platform.

    Raises:
        NoPlatformError: it is of another one.
    """
    if selection.everything or not selection.platforms:
        return
    if all(choose(wanted, [offered]) is None for wanted in selection.platforms):
        wanted = [str(platform) for platform in selection.platforms]
        raise NoPlatformError(what, wanted=wanted, offered=[str(offered)])


def _child(index: Index, platform: Platform, what: str) -> tuple[Descriptor, ...]:
    candidates = [entry for entry in index.manifests if entry.media_type in media_types.MANIFESTS]
    position = choose(platform, [entry.platform for entry in candidates])
    if position is None:
        raise _not_offered(platform, index, what)
    return (candidates[position],)


def _variants(index: Index, platform: Platform, what: str) -> tuple[Descriptor, ...]:
    found = tuple(
        entry
        for entry in index.manifests
        if entry.platform is not None
        and (entry.platform.os, entry.platform.architecture) == (platform.os, platform.architecture)
    )
    if not found:
        raise _not_offered(platform, index, what)
    return found


def _not_offered(platform: Platform, index: Index, what: str) -> NoPlatformError:
    offered = {
        str(entry.platform)
        for entry in index.manifests
        if entry.platform and entry.media_type in media_types.MANIFESTS
    }
    return NoPlatformError(
        what,
        wanted=[str(platform)],
        offered=sorted(offered),
        docker_list=index.media_type == media_types.DOCKER_LIST,
    )


def _attests(entry: Descriptor, chosen: Collection[Digest]) -> bool:
    return entry.annotations.get(_ATTESTATION_OF) in {digest.text for digest in chosen}
