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
from typing import TYPE_CHECKING, Literal, cast

from bundler.bundle.format import store
from bundler.bundle.format.authenticate import open_bundle
from bundler.bundle.importing.report import ImportReport, Line
from bundler.bundle.importing.targets import Placed, Placement, place
from bundler.bundle.media import filesystem
from bundler.copy.blob_transfer import push_manifest
from bundler.copy.engine import EngineOptions, ExecutionResult, execute
from bundler.copy.graph import ResolvedImage, find_unique_blobs
from bundler.copy.parallel import run_all
from bundler.copy.plan import Target, create_plan
from bundler.copy.request import ImageRequest, PinnedReferrer
from bundler.copy.resolve import resolve
from bundler.copy.target_names import NameMapping
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
    from bundler.copy.plan import Plan
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
    order: ImportRequest, options: OpenOptions, running: EngineOptions, *, dry_run: bool = False
) -> ImportReport:
    """Import a bundle.

    Raises:
        InvalidSignatureError, UnauthenticatedError, ExpiredError: it is not to be trusted.
        DamagedBundleError: parts are missing or of the wrong size; nothing was pushed.
        IntegrityError: a blob turned out to be damaged; no name has changed.
        ConflictError: names at the target hold something else; nothing was pushed.
    """
    started = datetime.now(UTC)
    opened = open_bundle(
        order.bundle,
        order.keys,
        allow_unsigned=order.allow_unsigned,
        allow_expired=order.allow_expired,
    )
    chosen = _chosen(opened.contents, order.only)
    with _damage_explained(order.bundle), ExitStack() as stack:
        source = store.BundleSource(order.bundle, opened.contents)
        stack.callback(source.close)
        images = _resolve(chosen, source, running)
        _look_for_blobs(order.bundle, source, images)
        placement = place(order.target, chosen, order.names, options, stack, writable=not dry_run)
        answers = _compare(placement, order.existing, running, dry_run=dry_run)
        lines = [answer.line for answer in answers]
        targets = _targets(images, placement, answers)
        made = create_plan(targets, running.executor, running.cancellation)
        if dry_run:
            now = datetime.now(UTC)
            return ImportReport(opened, order.target, tuple(lines), made, started, now)
        if placement.directory is not None:
            medium = filesystem.inspect(placement.directory)
            filesystem.check_free_space(
                placement.directory, medium, made.size("push"), made.largest
            )
        else:
            _ask_for_sparse(targets, chosen)
        outcome = execute(cast("Plan[Destination]", made), running)
        done = tuple(_told(line, outcome) for line in lines)
        return ImportReport(opened, order.target, done, made, started, datetime.now(UTC))


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
    images: Sequence[BundledImage], source: store.BundleSource, running: EngineOptions
) -> list[ResolvedImage]:
    """Read and check every manifest against the inventory's digests, each root once."""
    requests = [_request(image) for image in images]
    distinct = {_root_key(request): request for request in requests}
    tasks = [partial(resolve, request, source) for request in distinct.values()]
    resolved = dict(
        zip(distinct, run_all(running.executor, tasks, running.cancellation), strict=True)
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
class _Answer:
    """What the target says of one image's names, its referrers' tags included."""

    line: Line
    conflicts: tuple[str, ...]
    """Names that hold something else, and what."""
    same: frozenset[str]
    """Names that stand for the right thing already."""
    kept: frozenset[str]
    """Referrers' tags that hold something else, and may not be changed."""


def _compare(
    placement: Placement, existing: Existing, running: EngineOptions, *, dry_run: bool
) -> list[_Answer]:
    """Ask the target what each name stands for; all conflicts are told at once."""
    tasks = [partial(_ask, placed, existing) for placed in placement.images]
    answers = run_all(running.executor, tasks, running.cancellation)
    conflicts = [told for answer in answers for told in answer.conflicts]
    if existing != "error" or not conflicts:
        return answers
    if not dry_run:
        raise ConflictError(
            "\n".join(["names at the target hold something else; nothing was pushed", *conflicts]),
            hint="--existing overwrite replaces them, --existing skip leaves them as they are",
        )
    running.emit(
        WarningIssued("names at the target hold something else, which would stop the import")
    )
    return answers


def _ask(placed: Placed, existing: Existing) -> _Answer:
    line = _line(placed, existing)
    conflicts = [f"{line.name} holds {line.former}, not {line.image.digest}"] if line.former else []
    same = set(placed.names) if line.action == "same" else set()
    kept = set()
    for digest, names in placed.referrer_names.items():
        for name in names:
            held = placed.held_by(name)
            if held == digest:
                same.add(name)
            elif held is not None:
                conflicts.append(f"{name}, beside {line.name}, holds {held}, not {digest}")
                if existing == "skip":
                    kept.add(name)
    return _Answer(line, tuple(conflicts), frozenset(same), frozenset(kept))


def _line(placed: Placed, existing: Existing) -> Line:
    held = placed.current()
    if held is None:
        return Line(placed.image, placed.shown, "new")
    if held == placed.image.digest:
        return Line(placed.image, placed.shown, "same")
    return Line(placed.image, placed.shown, _ACTIONS[existing], held.text)


def _targets(
    images: Sequence[ResolvedImage], placement: Placement, answers: Sequence[_Answer]
) -> list[Target[Holdings]]:
    """A local place is given a name that is right once more: it costs nothing there."""
    local = placement.directory is not None
    return [
        placed.target(image, settled=answer.kept if local else answer.kept | answer.same)
        for image, placed, answer in zip(images, placement.images, answers, strict=True)
        if answer.line.action != "skipped"
    ]


def _ask_for_sparse(targets: Sequence[Target[Holdings]], images: Sequence[BundledImage]) -> None:
    """Not every registry takes an index whose manifests are not all there: ask before the rest.

    Raises:
        UnsupportedError: the target does not.
    """
    sparse = {image.digest for image in images if image.index == "sparse"}
    for target in targets:
        root = target.image.graph.manifests[-1]
        if root.descriptor.digest not in sparse:
            continue
        try:
            push_manifest(root, cast("Destination", target.destination))
        except RegistryError as error:
            if error.status is None or not 400 <= error.status < 500 or error.exit_status != 6:
                raise
            raise UnsupportedError(
                f"{target.image.label}: the target does not take an index with platforms"
                f" missing ({', '.join(error.codes) or error.status}); nothing was pushed",
                hint="export it with index: strip, or with all platforms",
            ) from error


def _told(line: Line, outcome: ExecutionResult) -> Line:
    error = outcome.failed.get(str(line.image.reference))
    if error is None:
        return line
    return Line(line.image, line.name, "failed", line.former, str(error))
