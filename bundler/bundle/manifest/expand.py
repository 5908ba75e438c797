"""Expand the entries of a bundle manifest into one request for each image."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bundler.bundle.manifest.entries import is_target_name
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import ConflictError, InvalidReferenceError, NotFoundError, UsageError, count
from bundler.events import Notice, discard
from bundler.oci.reference import convert_domain_to_component, is_domain, is_repository_path
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bundler.bundle.manifest.entries import ManifestEntry
    from bundler.bundle.manifest.load import BundleManifest
    from bundler.events import Emit
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.reference import ImageReference
    from bundler.ports import Reference

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class RenameRule:
    """A rule that creates the target name of an image from its full name."""

    match: GoExpression
    """The expression to search for in the full name, which has no digest if it has a tag."""
    to: str
    """The target name, with the named groups of ``match`` as placeholders. In the group ``host``,
    the colon before a port becomes a hyphen, which is valid in a path."""
    origin: str
    """``file:line`` of the rule."""

    def apply(self, name: str) -> str | None:
        """Return the target name for ``name``; None if the rule does not match."""
        groups = self.match.find_groups(name)
        if groups is None:
            return None
        if "host" in groups:
            host = groups["host"]
            groups["host"] = (
                convert_domain_to_component(host) if is_domain(host) else host.replace(":", "-")
            )
        return _PLACEHOLDER.sub(lambda placeholder: groups[placeholder[1]], self.to)


def expand(
    manifest: BundleManifest, list_tags: Callable[[Reference], Sequence[str]], emit: Emit = discard
) -> tuple[ImageRequest, ...]:
    """Return one request for each image of ``manifest``, in a deterministic order.

    ``list_tags`` returns all tags of a repository; it is called once for each repository that has a
    selection. ``emit`` receives a notice if an entry selects all of them.

    Raises:
        NotFoundError: a tag does not exist, or no image is left after a selection or exclusion.
        ConflictError: entries request the same image with different options, or two images have
            the same target name.
        InvalidReferenceError: a rename rule creates an invalid name.
    """
    images = _select_tags(manifest.images, list_tags, emit)
    requests = []
    for entry, reference, source in images:
        if any(pattern.search(str(reference)) for pattern in manifest.exclude):
            continue
        options = entry.options
        request = ImageRequest(
            source=source,
            reference=reference,
            selection=PlatformSelection(
                options.platforms, options.index if options.platforms else "all"
            ),
            referrers=options.referrers,
            signatures="none" if options.referrers == "none" else "applicable",
            verify=options.verify,
            on_missing=options.on_missing,
            foreign_layers=options.foreign_layers,
            expected_root=reference.digest,
            on_tag_moved=options.on_tag_moved,
            rename=find_target_name(reference, entry.rename, manifest.rename),
            origin=entry.origin,
        )
        requests.append(request)
    if not requests:
        raise NotFoundError(
            f"{manifest.files[0].path}: no image is left after exclude.images"
            f" (of {count(len(images), 'image')})"
        )
    return _merge(requests)


def find_target_name(
    image: ImageReference, rename: str | None, rules: Sequence[RenameRule]
) -> str | None:
    """Return the target name of ``image`` that the bundle manifest specifies.

    ``rename`` is the target name in the entry; without a tag, the tag or digest of ``image`` is
    kept. Without it, the first of ``rules`` that matches applies. The result is ``path:tag`` or
    ``path@digest``; None if nothing is specified.

    Raises:
        InvalidReferenceError: a rule creates an invalid name.
    """
    version = f":{image.tag}" if image.tag else f"@{image.digest}"
    if rename is not None:
        return rename if ":" in rename else rename + version
    for rule in rules:
        name = rule.apply(image.repository + version)
        if name is None:
            continue
        if name.endswith(version):
            is_valid = is_repository_path(name.removesuffix(version))
        else:
            is_valid = is_target_name(name)
        if not is_valid:
            raise InvalidReferenceError(
                f"{rule.origin}: the rename rule creates {name[:300]!r} from {image},"
                " which is not a valid name"
            )
        return name if name.endswith(version) or ":" in name else name + version
    return None


def check_template(template: str, match: GoExpression) -> None:
    """Check that every placeholder of ``template`` is a named group of ``match``.

    Raises:
        UsageError: a group is unknown, or a brace is misplaced.
    """
    unknown = [name for name in _PLACEHOLDER.findall(template) if name not in match.groups]
    if unknown:
        groups = ", ".join(f"{{{name}}}" for name in match.groups) or "none"
        raise UsageError(
            f"`match` has no group for {{{unknown[0]}}}; its named groups are {groups}"
        )
    if set("{}") & set(_PLACEHOLDER.sub("", template)):
        raise UsageError("braces are allowed only around the name of a group, as in {path}")


def _select_tags(
    entries: Iterable[ManifestEntry], list_tags: Callable[[Reference], Sequence[str]], emit: Emit
) -> list[tuple[ManifestEntry, ImageReference, Reference]]:
    """Return each entry with the name and the source of every image that it selects."""
    available: dict[str, Sequence[str]] = {}
    images: list[tuple[ManifestEntry, ImageReference, Reference]] = []
    failures = []
    for entry in entries:
        if entry.select is None:
            images.append((entry, entry.reference, entry.source))
            continue
        repository = str(entry.source)
        if repository not in available:
            available[repository] = list_tags(entry.source)
        from bundler.oci.tag_filter import choose  # noqa: PLC0415 - only for a selection of tags

        try:
            tags = choose(entry.select, available[repository])
        except NotFoundError as error:
            failures.append(f"{entry.origin}: {entry.reference}: {error.message}")
            continue
        if entry.select.is_empty:
            text = f"all tags are selected: {count(len(tags), 'tag')}"
            emit(Notice(f"{entry.origin}: {entry.reference}: {text}"))
        references = [replace(entry.reference, tag=tag) for tag in tags]
        images += [
            (entry, reference, create_registry_reference(reference)) for reference in references
        ]
    if failures:
        raise NotFoundError("\n".join(failures))
    return images


def _merge(requests: Iterable[ImageRequest]) -> tuple[ImageRequest, ...]:
    """Return one request for each image, and check that each has its own target name.

    Equal requests for the same image are merged.
    """
    merged: dict[str, ImageRequest] = {}
    for request in requests:
        reference = request.reference
        assert reference is not None  # noqa: S101 - every entry has one
        name = str(replace(reference, digest=None) if reference.tag else reference)
        first = merged.setdefault(name, request)
        selected, requested = first.selection, request.selection
        pairs = {
            "sources": (first.source, request.source),
            "digests": (first.expected_root, request.expected_root),
            "platforms": (set(selected.platforms), set(requested.platforms)),
            "index": (selected.index, requested.index),
            "referrers": (first.referrers, request.referrers),
            "verify": (first.verify, request.verify),
            "onMissing": (first.on_missing, request.on_missing),
            "onTagMoved": (first.on_tag_moved, request.on_tag_moved),
            "foreign layers": (first.foreign_layers, request.foreign_layers),
            "target names": (first.rename, request.rename),
        }
        differing = [word for word, (value, another) in pairs.items() if value != another]
        if differing:
            raise ConflictError(
                f"{name}: requested at {first.origin} and at {request.origin},"
                f" with different {' and '.join(differing)}",
                subjects=differing,
                hint="remove one of them, or make them equal",
            )
    named: dict[str, ImageRequest] = {}
    for request in merged.values():
        if request.rename is None:
            continue
        first = named.setdefault(request.rename, request)
        if first is not request:
            raise ConflictError(
                f"{first.display_name} ({first.origin}) and"
                f" {request.display_name} ({request.origin})"
                f" have the same target name {request.rename}",
                subjects=[request.rename],
                hint="change `rename` so that each image has its own name",
            )
    return tuple(merged.values())
