"""Import: what a bundle holds goes where it belongs, and nothing that is not vouched for gets in.

Order of reading: ``bundle.json`` is read once, authenticated, and only then parsed. All manifests
are read and checked, all blobs looked for, and all names asked for at the target before the first
byte is pushed. Each blob is hashed as it streams into its upload; names change when everything
has arrived. No registry but the target is ever spoken to.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Literal

from bundler.bundle.format import store
from bundler.bundle.format.authenticate import open_bundle
from bundler.bundle.importing.report import ImportedImage, ImportReport
from bundler.bundle.importing.targets import (
    DirectoryTarget,
    HoldingsT,
    MappedImage,
    RegistryTarget,
    open_target,
    parse_target,
    survey_target,
)
from bundler.bundle.media import filesystem
from bundler.copy.blob_transfer import push_manifest
from bundler.copy.engine import EngineOptions, ExecutionResult, execute
from bundler.copy.graph import ResolvedImage, find_unique_blobs
from bundler.copy.parallel import run_all
from bundler.copy.plan import Target, create_plan
from bundler.copy.request import ImageRequest, PinnedReferrer
from bundler.copy.resolve import resolve
from bundler.copy.target_names import NameMapping
from bundler.copy.targets import compare_with_target
from bundler.errors import (
    ConflictError,
    DamagedBundleError,
    IntegrityError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from bundler.errors.counts import count
from bundler.events import WarningIssued
from bundler.oci import media_types

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, Inventory
    from bundler.bundle.importing.report import Action
    from bundler.ports import Destination, Holdings, OpenOptions
    from bundler.trust.keys import PublicKey

Existing = Literal["error", "skip", "overwrite"]
_ACTIONS: dict[Existing, Action] = {
    "error": "conflict",
    "skip": "skipped",
    "overwrite": "replaced",
}


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import, whom to trust, and where it goes."""

    bundle: Path
    target: str
    keys: tuple[PublicKey, ...] = ()
    allow_unsigned: bool = False
    allow_expired: bool = False
    names: NameMapping = field(default_factory=NameMapping)
    only: tuple[re.Pattern[str], ...] = ()
    """Images in whose full reference one of these is found; empty: all."""
    existing: Existing = "error"


def import_bundle(
    request: ImportRequest, options: OpenOptions, engine: EngineOptions, *, dry_run: bool = False
) -> ImportReport:
    """Import a bundle.

    Args:
        request: what to import, and where to.
        options: how to open the target.
        engine: how to execute the plan.
        dry_run: create the plan, but do not execute it.

    Raises:
        InvalidSignatureError, UnauthenticatedError, ExpiredError: the bundle is not trusted.
        DamagedBundleError: content is missing or has the wrong size; nothing was pushed.
        IntegrityError: a blob is damaged; no name has changed.
        ConflictError: target names point to other digests; nothing was pushed.
    """
    started = datetime.now(UTC)
    opened = open_bundle(
        request.bundle,
        request.keys,
        allow_unsigned=request.allow_unsigned,
        allow_expired=request.allow_expired,
    )
    chosen = _chosen(opened.contents, request.only)
    with _damage_explained(request.bundle), ExitStack() as stack:
        source = store.BundleSource(request.bundle, opened.contents)
        stack.callback(source.close)
        images = _resolve(chosen, source, engine)
        _look_for_blobs(request.bundle, source, images)
        target = parse_target(request.target)
        if dry_run:
            surveyed = survey_target(target, chosen, request.names, options, stack)
            comparisons = _compare(surveyed, request.existing, engine)
            if request.existing == "error" and any(item.conflicts for item in comparisons):
                engine.emit(
                    WarningIssued("target names point to other digests, which fails the import")
                )
            preview = create_plan(
                _create_targets(images, surveyed, comparisons, target),
                engine.executor,
                engine.cancellation,
            )
            results = tuple(item.result for item in comparisons)
            now = datetime.now(UTC)
            return ImportReport(opened, request.target, results, preview, started, now)
        mapped = open_target(target, chosen, request.names, options, stack)
        comparisons = _compare(mapped, request.existing, engine)
        if request.existing == "error":
            _check_conflicts(comparisons)
        targets = _create_targets(images, mapped, comparisons, target)
        plan = create_plan(targets, engine.executor, engine.cancellation)
        if isinstance(target, DirectoryTarget):
            medium = filesystem.inspect(target.directory)
            size = plan.size("push")
            filesystem.check_free_space(target.directory, medium, size, plan.largest)
        else:
            _push_sparse_indexes(targets, chosen)
        executed = execute(plan, engine)
        results = tuple(_add_error(item.result, executed) for item in comparisons)
        return ImportReport(opened, request.target, results, plan, started, datetime.now(UTC))


@contextmanager
def _damage_explained(bundle: Path) -> Iterator[None]:
    """One damaged part stops an import; who has to mend it wants to know of all."""
    try:
        yield
    except IntegrityError as error:
        if error.hint is None:
            error.hint = f"no name has changed; airbundle verify {bundle} names every damaged part"
        raise


def _chosen(contents: Inventory, only: Sequence[re.Pattern[str]]) -> list[BundledImage]:
    if not only:
        return list(contents.images)
    chosen = [
        image
        for image in contents.images
        if any(pattern.search(str(image.reference)) for pattern in only)
    ]
    if not chosen:
        patterns = ", ".join(repr(pattern.pattern) for pattern in only)
        raise NotFoundError(
            f"none of {count(len(contents.images), 'image')} matches {patterns}",
            hint="airbundle ls shows their names",
        )
    return chosen


def _resolve(
    images: Sequence[BundledImage], source: store.BundleSource, engine: EngineOptions
) -> list[ResolvedImage]:
    """Read and check every manifest against the inventory's digests, each root once."""
    requests = [_request(image) for image in images]
    distinct = {_root_key(request): request for request in requests}
    tasks = [partial(resolve, request, source) for request in distinct.values()]
    resolved = dict(
        zip(distinct, run_all(engine.executor, tasks, engine.cancellation), strict=True)
    )
    return [replace(resolved[_root_key(request)], request=request) for request in requests]


def _request(image: BundledImage) -> ImageRequest:
    return ImageRequest(
        source=store.BundleReference(image.digest),
        reference=image.reference,
        selection=store.selection(image),
        referrers=tuple(PinnedReferrer(item.digest, item.tag) for item in image.referrers),
        pin=image.digest,
    )


def _root_key(request: ImageRequest) -> tuple[object, ...]:
    """Equal for images that differ in their names only."""
    return request.pin, request.selection, request.referrers


def _look_for_blobs(bundle: Path, source: Holdings, images: Sequence[ResolvedImage]) -> None:
    """Every blob must be there with its size before the first one is pushed."""
    absent = [
        node
        for node in find_unique_blobs(images).values()
        if not source.has(node) and not media_types.is_foreign(node.media_type, node.urls)
    ]
    if absent:
        raise DamagedBundleError(
            f"{bundle}: damaged, so nothing was imported",
            [f"{node.digest}: missing or not of {node.size:,} bytes" for node in absent],
            hint=f"airbundle verify {bundle} names every damaged part",
        )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One image, compared with the target."""

    result: ImportedImage
    conflicts: tuple[str, ...]
    """Names that point to other digests, for a message."""
    same: frozenset[str]
    """Names that point to the right digest already."""
    kept: frozenset[str]
    """Referrers' tags that point to other digests and must not be changed."""


def _compare(
    mapped: Sequence[MappedImage[Holdings]], existing: Existing, engine: EngineOptions
) -> list[_Comparison]:
    """Resolve all names at the target, for all images in parallel."""
    tasks = [partial(_compare_image, item, existing) for item in mapped]
    return run_all(engine.executor, tasks, engine.cancellation)


def _compare_image(item: MappedImage[Holdings], existing: Existing) -> _Comparison:
    action: Action = "new"
    former = None
    conflicts = []
    same: set[str] = set()
    kept: set[str] = set()
    for state in compare_with_target(item.list_names(), item.resolver):
        if state.is_same:
            same.add(state.name)
        if state.name == item.name:
            if state.is_same:
                action = "same"
            elif state.current is not None:
                action, former = _ACTIONS[existing], state.current.text
                conflicts.append(f"{item.display} points to {former}, not {state.expected}")
        elif state.is_conflict:
            conflicts.append(
                f"{state.name}, a referrer of {item.display}, points to {state.current},"
                f" not {state.expected}"
            )
            if existing == "skip":
                kept.add(state.name)
    result = ImportedImage(item.image, item.display, action, former)
    return _Comparison(result, tuple(conflicts), frozenset(same), frozenset(kept))


def _check_conflicts(comparisons: Sequence[_Comparison]) -> None:
    conflicts = [conflict for item in comparisons for conflict in item.conflicts]
    if conflicts:
        raise ConflictError(
            "\n".join(["target names point to other digests; nothing was pushed", *conflicts]),
            hint="--existing overwrite replaces them, --existing skip leaves them as they are",
        )


def _create_targets(
    images: Sequence[ResolvedImage],
    mapped: Sequence[MappedImage[HoldingsT]],
    comparisons: Sequence[_Comparison],
    target: RegistryTarget | DirectoryTarget,
) -> list[Target[HoldingsT]]:
    """Return the targets of all images that are not skipped.

    A registry gets no name again that is right already; in a directory that costs nothing.
    """
    targets = []
    for image, item, comparison in zip(images, mapped, comparisons, strict=True):
        if comparison.result.action != "skipped":
            unchanged = comparison.kept
            if isinstance(target, RegistryTarget):
                unchanged |= comparison.same
            targets.append(item.create_target(image, unchanged=unchanged))
    return targets


def _push_sparse_indexes(
    targets: Sequence[Target[Destination]], images: Sequence[BundledImage]
) -> None:
    """Push sparse indexes before anything else: not every registry accepts them.

    Raises:
        UnsupportedError: the target rejects one.
    """
    sparse = {image.digest for image in images if image.index == "sparse"}
    for target in targets:
        root = target.image.graph.manifests[-1]
        if root.descriptor.digest not in sparse:
            continue
        try:
            push_manifest(root, target.destination)
        except RegistryError as error:
            if error.status is None or not 400 <= error.status < 500 or error.exit_status != 6:
                raise
            raise UnsupportedError(
                f"{target.image.label}: the target rejects an index with missing platforms"
                f" ({', '.join(error.codes) or error.status}); nothing was pushed",
                hint="export it with index: strip, or with all platforms",
            ) from error


def _add_error(result: ImportedImage, executed: ExecutionResult) -> ImportedImage:
    error = executed.failed.get(str(result.image.reference))
    return result if error is None else replace(result, action="failed", error=str(error))
