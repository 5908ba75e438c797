"""From what a bundle manifest asks for to the images that are meant, one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from bundler.bundle.manifest.rename_rules import target_name
from bundler.errors import ConflictError, NotFoundError
from bundler.errors.counts import count
from bundler.events import Emit, Notice, discard
from bundler.oci.reference import ImageReference
from bundler.oci.tag_filter import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bundler.bundle.manifest.entries import IndexMode, ManifestEntry
    from bundler.bundle.manifest.load import BundleManifest
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class LockedReferrer:
    """A referrer that a lock names, and the tag it is found by, if it has one."""

    digest: Digest
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One image to resolve: ``source`` is opened, and has to stand for ``pin`` if there is one."""

    reference: str
    """The name in the bundle: host, path, and a tag, a digest or both."""
    source: str
    """What ``transports.parse`` takes. From a lock, a registry is asked for the digest."""
    platforms: tuple[Platform, ...]
    """Empty: all."""
    index: IndexMode
    referrers: bool
    rename: str | None
    """The name inside, ``path:tag`` or ``path@digest``; None: the import decides."""
    origin: str
    """``file:line`` of what asked for it."""
    pin: Digest | None = None
    """The digest that ``source`` must resolve to, before platforms are chosen."""
    result: Digest | None = None
    """From a lock: the digest that must come of it once platforms are chosen."""
    locked_referrers: tuple[LockedReferrer, ...] | None = None
    """From a lock: exactly these referrers; None: whatever there is, if ``referrers``."""


def expand(
    manifest: BundleManifest,
    open_tags: Callable[[str], Sequence[str]],
    emit: Emit = discard,
) -> tuple[Wanted, ...]:
    """The images that ``manifest`` means now, each once, in a deterministic order.

    Args:
        manifest: as loaded.
        open_tags: every tag of a repository, given as ``docker://host/path``; asked once for
            each repository, and only for those with a selection.
        emit: told where a foreign list takes all tags of a repository.

    Raises:
        NotFoundError: tags that are not there, or a selection that leaves nothing.
        ConflictError: one image with two different wishes, or two images with one name.
        InvalidReferenceError: a rename rule makes an impossible name.
    """
    meant = _meant(manifest.images, open_tags, emit)
    kept = [
        _wanted(entry, reference, source, manifest)
        for entry, reference, source in meant
        if not any(pattern.search(reference) for pattern in manifest.exclude)
    ]
    if not kept:
        raise NotFoundError(
            f"{manifest.files[0].path}: exclude.images leaves none of {count(len(meant), 'image')}"
        )
    merged = _merge(kept)
    _refuse_collisions(merged)
    return merged


def _meant(
    entries: Iterable[ManifestEntry], open_tags: Callable[[str], Sequence[str]], emit: Emit
) -> list[tuple[ManifestEntry, str, str]]:
    """Each entry with the reference and the source of every image that it means."""
    ask = cache(open_tags)
    meant, failures = [], []
    for entry in entries:
        if entry.select is None:
            meant.append((entry, entry.reference, entry.source))
            continue
        offered = ask(entry.source)
        try:
            tags = choose(entry.select, offered)
        except NotFoundError as error:
            failures.append(f"{entry.origin}: {entry.reference}: {error.message}")
            continue
        if entry.select.everything:
            taken = f"all tags are taken: {count(len(tags), 'tag')}"
            emit(Notice(f"{entry.origin}: {entry.reference}: {taken}"))
        meant += [(entry, f"{entry.reference}:{tag}", f"{entry.source}:{tag}") for tag in tags]
    if failures:
        raise NotFoundError("\n".join(failures))
    return meant


def _wanted(entry: ManifestEntry, reference: str, source: str, manifest: BundleManifest) -> Wanted:
    wishes = entry.wishes
    return Wanted(
        reference=reference,
        source=source,
        platforms=wishes.platforms,
        index=wishes.index if wishes.platforms else "all",
        referrers=wishes.referrers,
        rename=target_name(reference, entry.rename, manifest.rename),
        origin=entry.origin,
        pin=entry.pin,
    )


def _merge(images: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """Each image once; what is asked for twice in the same way is one image."""
    merged: dict[str, Wanted] = {}
    for image in images:
        image_reference = ImageReference.parse(image.reference)
        name = str(
            replace(image_reference, digest=None) if image_reference.tag else image_reference
        )
        first = merged.setdefault(name, image)
        differing = _differences(first, image)
        if differing:
            raise ConflictError(
                f"{name} is asked for at {first.origin} and at {image.origin},"
                f" with different {' and '.join(differing)}",
                hint="leave one of them out, or let them agree",
            )
    return tuple(merged.values())


def _differences(first: Wanted, second: Wanted) -> list[str]:
    return [
        word
        for word, one, other in (
            ("sources", first.source, second.source),
            ("digests", first.pin, second.pin),
            ("platforms", set(first.platforms), set(second.platforms)),
            ("index", first.index, second.index),
            ("referrers", first.referrers, second.referrers),
            ("names inside", first.rename, second.rename),
        )
        if one != other
    ]


def _refuse_collisions(images: Iterable[Wanted]) -> None:
    named: dict[str, Wanted] = {}
    for image in images:
        if image.rename is None:
            continue
        first = named.setdefault(image.rename, image)
        if first is not image:
            raise ConflictError(
                f"{first.reference} ({first.origin}) and {image.reference} ({image.origin})"
                f" would both be called {image.rename}",
                hint="change `rename` so that each image has a name of its own",
            )
