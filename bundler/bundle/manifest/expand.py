"""Expand the entries of a bundle manifest into one request for each image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.manifest.rename_rules import target_name
from bundler.bundle.manifest.source_reference import registry_source
from bundler.copy.platform_selection import Selection
from bundler.copy.request import ImageRequest
from bundler.errors import ConflictError, NotFoundError
from bundler.errors.counts import count
from bundler.events import Emit, Notice, discard
from bundler.oci.tag_filter import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bundler.bundle.manifest.entries import ManifestEntry
    from bundler.bundle.manifest.load import BundleManifest
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference


def expand(
    manifest: BundleManifest,
    list_tags: Callable[[Reference], Sequence[str]],
    emit: Emit = discard,
) -> tuple[ImageRequest, ...]:
    """Return a request for each image of ``manifest``, each image once, in a fixed order.

    Args:
        manifest: the loaded bundle manifest.
        list_tags: returns all tags of a repository; called once for each repository that has a
            selection.
        emit: receives a notice if an external list takes all tags of a repository.

    Raises:
        NotFoundError: a tag does not exist, or a selection or the exclusion leaves no image.
        ConflictError: two entries request one image differently, or two images have one name.
        InvalidReferenceError: a rename rule makes an invalid name.
    """
    images = _select_tags(manifest.images, list_tags, emit)
    requests = [
        _request(entry, reference, source, manifest)
        for entry, reference, source in images
        if not any(pattern.search(str(reference)) for pattern in manifest.exclude)
    ]
    if not requests:
        raise NotFoundError(
            f"{manifest.files[0].path}: exclude.images leaves none of {count(len(images), 'image')}"
        )
    merged = _merge(requests)
    _refuse_collisions(merged)
    return merged


def _select_tags(
    entries: Iterable[ManifestEntry],
    list_tags: Callable[[Reference], Sequence[str]],
    emit: Emit,
) -> list[tuple[ManifestEntry, ImageReference, Reference]]:
    """Return each entry with the name and the source of every image that it selects."""
    offered: dict[str, Sequence[str]] = {}
    images: list[tuple[ManifestEntry, ImageReference, Reference]] = []
    failures = []
    for entry in entries:
        if entry.select is None:
            images.append((entry, entry.reference, entry.source))
            continue
        repository = str(entry.source)
        if repository not in offered:
            offered[repository] = list_tags(entry.source)
        try:
            tags = choose(entry.select, offered[repository])
        except NotFoundError as error:
            failures.append(f"{entry.origin}: {entry.reference}: {error.message}")
            continue
        if entry.select.is_empty:
            taken = f"all tags are taken: {count(len(tags), 'tag')}"
            emit(Notice(f"{entry.origin}: {entry.reference}: {taken}"))
        references = [replace(entry.reference, tag=tag) for tag in tags]
        images += [(entry, reference, registry_source(reference)) for reference in references]
    if failures:
        raise NotFoundError("\n".join(failures))
    return images


def _request(
    entry: ManifestEntry, reference: ImageReference, source: Reference, manifest: BundleManifest
) -> ImageRequest:
    options = entry.options
    return ImageRequest(
        source=source,
        reference=reference,
        selection=Selection(options.platforms, options.index if options.platforms else "all"),
        referrers="all" if options.referrers else "none",
        pin=reference.digest,
        rename=target_name(reference, entry.rename, manifest.rename),
        origin=entry.origin,
    )


def _merge(requests: Iterable[ImageRequest]) -> tuple[ImageRequest, ...]:
    """Return each image once; equal requests for one image become one request."""
    merged: dict[str, ImageRequest] = {}
    for request in requests:
        reference = request.reference
        assert reference is not None  # noqa: S101 - every entry has one
        name = str(replace(reference, digest=None) if reference.tag else reference)
        first = merged.setdefault(name, request)
        differing = _differences(first, request)
        if differing:
            raise ConflictError(
                f"{name} is asked for at {first.origin} and at {request.origin},"
                f" with different {' and '.join(differing)}",
                hint="leave one of them out, or let them agree",
            )
    return tuple(merged.values())


def _differences(first: ImageRequest, second: ImageRequest) -> list[str]:
    one, other = first.selection, second.selection
    pairs = {
        "sources": (first.source, second.source),
        "digests": (first.pin, second.pin),
        "platforms": (set(one.platforms), set(other.platforms)),
        "index": (one.index, other.index),
        "referrers": (first.referrers, second.referrers),
        "names inside": (first.rename, second.rename),
    }
    return [word for word, (value, another) in pairs.items() if value != another]


def _refuse_collisions(requests: Iterable[ImageRequest]) -> None:
    named: dict[str, ImageRequest] = {}
    for request in requests:
        if request.rename is None:
            continue
        first = named.setdefault(request.rename, request)
        if first is not request:
            raise ConflictError(
                f"{first.label} ({first.origin}) and {request.label} ({request.origin})"
                f" would both be called {request.rename}",
                hint="change `rename` so that each image has a name of its own",
            )
