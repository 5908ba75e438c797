"""Select the images of an index by platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import NoPlatformError
from bundler.oci import media_types
from bundler.oci.platform import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Index, IndexMode

_ATTESTATION_OF = "vnd.docker.reference.digest"
_ZSTD_VARIANT = "io.github.containers.compression.zstd"


@dataclass(frozen=True, slots=True)
class PlatformSelection:
    """The platforms to copy."""

    platforms: tuple[Platform, ...] = ()
    """The image must be available for one of them at least. Empty: copy the whole index. One
    platform: copy its manifest, without the index, unless
    ``index`` is ``sparse``. Several: copy an index, as ``index`` specifies."""
    index: IndexMode = "strip"
    """``strip``: create an index of the selected platforms, with a new digest. ``sparse``: keep
    the index, but leave out the images that are not selected. ``all``: copy the whole index,
    regardless of ``platforms``."""
    variants: bool = False
    """Select all variants of each platform, and keep an index even for a single platform."""
    best: Platform | None = None
    """Select the best match for this platform from an index. An image without an index is copied
    regardless of its platform."""
    index_only: bool = False
    """Copy the index without its images."""

    @property
    def everything(self) -> bool:
        """Whether the whole index or image is copied."""
        return self.index == "all" or not (self.platforms or self.best or self.index_only)

    @property
    def single(self) -> bool:
        """Whether a single image is copied from an index, without the index."""
        exactly_one = len(self.platforms) == 1 and not self.variants and self.index != "sparse"
        return not self.everything and (self.best is not None or exactly_one)


EVERYTHING = PlatformSelection()


def select_children(
    index: Index, selection: PlatformSelection, label: str
) -> tuple[Descriptor, ...]:
    """Return the selected entries of ``index``, in the order of the index.

    Unless a single image is selected, BuildKit's attestations of the images are included.

    Raises:
        NoPlatformError: the index has no image for any selected platform, or with
            ``selection.variants``, for one of them.
    """
    if selection.everything:
        return index.manifests
    if selection.index_only:
        return ()
    if selection.best is not None:
        return (select_best(index, selection.best, label),)
    digests: set[Digest] = set()
    for platform in selection.platforms:
        if selection.variants:
            found = [
                entry
                for entry in index.manifests
                if entry.platform is not None
                and entry.platform.os == platform.os
                and entry.platform.architecture == platform.architecture
            ]
        else:
            images = [
                entry for entry in index.manifests if entry.media_type in media_types.MANIFESTS
            ]
            position = choose(platform, [entry.platform for entry in images])
            found = [] if position is None else [images[position]]
        if not found and selection.variants:
            raise _no_platform([platform], index, label)
        digests.update(entry.digest for entry in found)
    if not digests:
        raise _no_platform(selection.platforms, index, label)
    if not selection.single:
        subjects = {digest.text for digest in digests}
        digests.update(
            entry.digest
            for entry in index.manifests
            if entry.annotations.get(_ATTESTATION_OF) in subjects
        )
    return tuple(entry for entry in index.manifests if entry.digest in digests)


def select_best(index: Index, platform: Platform, label: str) -> Descriptor:
    """Return the entry that is the best match for ``platform``.

    Of several images for that platform, an OCI index prefers zstd to gzip, then the first entry.
    In an OCI index, an image without a platform is the last choice.

    Raises:
        NoPlatformError: no image runs on ``platform``.
    """
    images = [entry for entry in index.manifests if entry.media_type in media_types.MANIFESTS]
    if index.media_type == media_types.OCI_INDEX:
        images.sort(key=lambda entry: entry.annotations.get(_ZSTD_VARIANT) != "true")
    position = choose(platform, [entry.platform for entry in images])
    if position is not None:
        return images[position]
    without_platform = [entry for entry in images if entry.platform is None]
    if without_platform and index.media_type == media_types.OCI_INDEX:
        return without_platform[0]
    raise _no_platform([platform], index, label)


def find_missing_platforms(
    selection: PlatformSelection, offered: Sequence[Platform | None]
) -> list[Platform]:
    """Return the selected platforms that an image with the platforms ``offered`` does not provide.

    With ``selection.variants``, the result is empty, as in Skopeo.
    """
    if selection.everything or selection.variants:
        return []
    return [item for item in selection.platforms if choose(item, offered) is None]


def check_platform_selected(offered: Platform, selection: PlatformSelection, label: str) -> None:
    """Check that an image without an index is available for one of the selected platforms.

    Raises:
        NoPlatformError: it is not.
    """
    if selection.everything or not selection.platforms:
        return
    if all(choose(platform, [offered]) is None for platform in selection.platforms):
        requested = [str(platform) for platform in selection.platforms]
        raise NoPlatformError(label, requested=requested, offered=[str(offered)])


def _no_platform(missing: Sequence[Platform], index: Index, label: str) -> NoPlatformError:
    offered = {
        str(entry.platform)
        for entry in index.manifests
        if entry.platform and entry.media_type in media_types.MANIFESTS
    }
    return NoPlatformError(
        label,
        requested=list(map(str, missing)),
        offered=sorted(offered),
        docker_list=index.media_type == media_types.DOCKER_LIST,
    )
