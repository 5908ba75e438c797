"""Compare the names of the images of a bundle with what the target has under these names."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from bundler.bundle.importing.report import ImageResult
from bundler.bundle.importing.signatures import select_signatures
from bundler.copy.parallel import run_all
from bundler.copy.target_names import compare_with_target
from bundler.errors import ConflictError
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.report import ImageState
    from bundler.bundle.importing.target import OpenTarget
    from bundler.copy.engine import EngineOptions
    from bundler.copy.planned_image import PlannedImage
    from bundler.copy.target_names import TargetName
    from bundler.ports import Holdings

Existing = Literal["error", "skip", "overwrite", "merge-platforms"]
Comparison: TypeAlias = "tuple[ImageResult, PlannedImage[Holdings], dict[str, str]]"
"""The result of an image, its target without the names that must not change, and a description of
each conflict, by name."""
_STATES: dict[Existing, ImageState] = {
    "error": "conflict",
    "skip": "skipped",
    "overwrite": "replaced",
    "merge-platforms": "conflict",
}
"""The states of images whose names point to other digests; those of a merge follow later."""


def compare_images(
    request: ImportRequest,
    planned: Iterable[tuple[BundledImage, TargetName, PlannedImage[Holdings]]],
    target: OpenTarget,
    engine: EngineOptions,
) -> list[Comparison]:
    """Compare the names of all images with the target, and report those that point elsewhere.

    Raises:
        ConflictError: the request does not allow that names are changed.
    """
    tasks = [partial(_compare, *item, target, request.existing) for item in planned]
    comparisons = run_all(engine.executor, tasks, engine.cancellation)
    for unstored in (item for result, *_ in comparisons for item in result.unstored_signatures):
        engine.emit(WarningIssued(str(unstored)))
    conflicts = {name: line for *_, found in comparisons for name, line in found.items()}
    if conflicts and request.existing in ("error", "merge-platforms"):
        _report_conflicts(conflicts, engine, dry_run=request.dry_run)
    return comparisons


def _compare(
    image: BundledImage,
    name: TargetName,
    planned: PlannedImage[Holdings],
    target: OpenTarget,
    existing: Existing,
) -> Comparison:
    """Compare the names of an image and its referrers with the target."""
    full_name = target.format_name(name)
    names = [(own, image.digest) for own in planned.names]
    referrer_names = planned.referrer_names
    names += [(tag, digest) for digest, tags in referrer_names.items() for tag in tags]
    planned, unstored = select_signatures(
        planned, full_name, stores_signatures=target.stores_signatures(planned)
    )
    stored = sum(map(len, planned.image.signatures.values()))
    result = ImageResult(
        image,
        full_name,
        "new",
        signatures=stored,
        unstored_signatures=unstored,
        verdicts=planned.image.verdicts,
    )
    conflicts: dict[str, str] = {}
    unchanged: set[str] = set()
    for state in compare_with_target(names, target.find_resolver(planned)):
        if state.is_same and target.directory is None:
            unchanged.add(state.name)  # saves a request to the registry
        if state.name in planned.names:
            if state.is_same:
                result = replace(result, state="same")
            elif state.is_conflict:
                former = str(state.current)
                result = replace(result, state=_STATES[existing], former=former)
                if existing == "merge-platforms" and (
                    merged := _merge(planned, state.name, target, result)
                ):
                    planned, result = merged
                    if result.state == "same" and target.directory is None:
                        unchanged.add(state.name)
                    continue
                conflicts[full_name] = (
                    f"{full_name}: points to another digest"
                    f" (expected {state.expected}, got {former})"
                )
        elif state.is_conflict:
            conflicts[state.name] = (
                f"{state.name}, a referrer of {full_name}: points to another digest"
                f" (expected {state.expected}, got {state.current})"
            )
            if existing == "skip":
                unchanged.add(state.name)
    changed = replace(
        planned,
        names=tuple(name for name in planned.names if name not in unchanged),
        referrer_names={
            digest: tuple(tag for tag in tags if tag not in unchanged)
            for digest, tags in referrer_names.items()
        },
    )
    return result, changed, conflicts


def _merge(
    planned: PlannedImage[Holdings], name: str, target: OpenTarget, result: ImageResult
) -> tuple[PlannedImage[Holdings], ImageResult] | None:
    """Merge an index with the one that ``name`` points to; None: one of both is not an index."""
    from bundler.bundle.importing.comparing import merge_platforms  # noqa: PLC0415 - on request

    resolver = target.find_resolver(planned)
    found = None if resolver is None else merge_platforms.merge(planned, name, resolver)
    if found is None:
        return None
    changed, merged = found
    if merged.digest.text == result.former:
        return changed, replace(result, state="same", merged=merged)
    return changed, replace(result, state="merged", merged=merged)


def _report_conflicts(
    conflicts: Mapping[str, str], engine: EngineOptions, *, dry_run: bool
) -> None:
    """Refuse to change names that point to other digests; in a dry run, emit a warning."""
    problem = "target names point to other digests"
    if dry_run:
        engine.emit(WarningIssued(f"{problem}; an import will fail"))
        return
    raise ConflictError(
        "\n".join([f"{problem}; nothing was pushed", *conflicts.values()]),
        subjects=tuple(conflicts),
        hint="replace them with --existing overwrite, or keep them with --existing skip",
    )
