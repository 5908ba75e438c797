"""Copy one image, with all that belongs to it, from one place to another."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.copy.convert.options import NO_CONVERSION, ConversionOptions, ManifestFormat
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.plan import Plan, Target, plan
from bundler.copy.platform_selection import EVERYTHING, Selection
from bundler.copy.request import ImageRequest, SignaturePolicy
from bundler.copy.resolve import resolve
from bundler.copy.resolved_event import create_resolved_event
from bundler.errors import BundlerError, DigestConflictError, RegistryError
from bundler.events import Notice
from bundler.oci import media_types
from bundler.ports import RepositoryReference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.copy.graph import ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import OpenOptions, PolicyCheck, Reference

_OTHER_FORMS: tuple[ManifestFormat, ...] = ("v2s2", "oci")
_FAMILIES: Mapping[ManifestFormat, frozenset[str]] = {
    "v2s2": frozenset({media_types.DOCKER_MANIFEST, media_types.DOCKER_LIST}),
    "oci": frozenset({media_types.OCI_MANIFEST, media_types.OCI_INDEX}),
}


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """What to copy, and where to."""

    source: Reference
    destination: Reference
    selection: Selection = EVERYTHING
    referrers: bool = False
    changes: ConversionOptions = NO_CONVERSION
    additional_names: tuple[str, ...] = ()
    """Further names at the destination, as it knows names."""
    signatures: SignaturePolicy = "all"


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied, or would be."""

    destination: str
    image: ResolvedImage
    plan: Plan

    @property
    def root(self) -> Descriptor:
        """What the name at the destination stands for."""
        return self.image.graph.root

    def to_json(self) -> dict[str, Any]:
        """The same for machines; sizes in bytes."""
        return {
            "source": self.image.label,
            "destination": self.destination,
            "digest": self.root.digest.text,
            "mediaType": self.root.media_type,
            "replaces": self.image.replaces and self.image.replaces.text,
            "platforms": [str(platform) for platform in self.image.graph.platforms],
            "referrers": [item.graph.root.digest.text for item in self.image.referrers],
            "moved": {"blobs": self.plan.count("push"), "bytes": self.plan.size("push")},
            "present": {"blobs": self.plan.count("present"), "bytes": self.plan.size("present")},
        }


def copy_image(
    order: CopyRequest,
    reading: OpenOptions,
    writing: OpenOptions,
    running: EngineOptions,
    *,
    admit: PolicyCheck | None = None,
    dry_run: bool = False,
) -> CopyReport:
    """Copy an image; with ``dry_run`` only find out what would move.

    Args:
        order: what to copy.
        reading: how to open the source.
        writing: how to open the destination.
        running: how to go about it.
        admit: says whether an image may be copied; None: every one.
        dry_run: whether nothing is to be moved.

    Raises:
        BundlerError: the first failure; no name has changed.
    """
    origin, goal = order.source, order.destination
    with ExitStack() as stack:
        source = transports.open_source(origin, reading)
        stack.enter_context(closing(source))
        request = ImageRequest(
            origin,
            selection=order.selection,
            referrers="all" if order.referrers else "none",
            signatures=order.signatures,
        )
        image = _unlabelled(resolve(request, source, admit))
        destination = transports.open_destination(goal, writing)
        stack.enter_context(closing(destination))
        running.emit(create_resolved_event(image.graph))
        _check_digest(goal, image)
        names = (*((goal.name,) if goal.name else ()), *order.additional_names)
        named = goal.image if isinstance(goal, RepositoryReference) else None
        changes = order.changes.for_endpoints(source, named)
        target = Target(image, destination, names, changes=changes)
        made = plan([target], running.executor, running.cancellation)
        if not dry_run:
            image = _execute(made, target, running)
    return CopyReport(str(goal), image, made)


def _unlabelled(image: ResolvedImage) -> ResolvedImage:
    """Without a platform beside the root: an index.json tells of one only where lists do."""
    root = replace(image.graph.root, platform=None)
    return replace(image, graph=replace(image.graph, root=root))


def _check_digest(goal: Reference, image: ResolvedImage) -> None:
    """See that a destination which names a digest names the image's."""
    named = goal.image if isinstance(goal, RepositoryReference) else None
    root = image.graph.root.digest
    if named is not None and named.digest is not None and named.digest != root:
        raise DigestConflictError(
            str(goal),
            expected=named.digest.text,
            got=root.text,
            hint="leave the digest out of the destination",
        )


def _execute(made: Plan, target: Target, running: EngineOptions) -> ResolvedImage:
    """Do it; where the destination refuses the type of manifest, do it in the next form.

    The layers have arrived by then, and are not moved again.
    """
    try:
        return execute(made, running).published[0].image
    except RegistryError as refusal:
        changes = target.changes
        fixed = changes.fixed_reason is not None or changes.manifest_format is not None
        if fixed or target.image.referrers or not _refuses_type(refusal):
            raise
        own = target.image.graph.root.media_type
        for form in _OTHER_FORMS:
            if own not in _FAMILIES[form]:
                running.emit(Notice(f"{own} is refused there: converting to {form}"))
                again = replace(target, changes=replace(changes, manifest_format=form))
                with suppress(BundlerError):
                    made = plan([again], running.executor, running.cancellation)
                    return execute(made, running).published[0].image
        raise


def _refuses_type(error: RegistryError) -> bool:
    """Whether a registry may have meant the media type of what it would not take."""
    return error.status == 415 or not {"MANIFEST_INVALID", "TAG_INVALID"}.isdisjoint(error.codes)
