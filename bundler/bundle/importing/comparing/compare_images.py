"""Compare the names of the images of a bundle with what the target has under these names."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from bundler.bundle.importing.comparing.signatures import select_signatures
from bundler.bundle.importing.report import ImageResult
from bundler.copy.parallel import run_all
from bundler.copy.target_names import compare_with_target
from bundler.errors import ConflictError
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.report import ImageState
    from bundler.bundle.importing.target import OpenTarget
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.copy.planned_image import PlannedImage
    from bundler.copy.target_names import NameState, TargetName
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings

Existing = Literal["error", "skip", "overwrite", "merge-platforms"]
NamedImage: TypeAlias = "tuple[BundledImage, TargetName, PlannedImage[Holdings]]"
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


def name_images(
    request: ImportRequest,
    selected: Sequence[BundledImage],
    images: Sequence[ResolvedImage],
    target: OpenTarget,
    presupposed: Collection[Digest],
) -> list[NamedImage]:
    """Map the images to their target names; ``presupposed`` blobs are not pushed."""
    names = replace(request.names, prefix=request.target.prefix)
    named = []
    for listed, image in zip(selected, images, strict=True):
        name = names.map_reference(listed.reference, listed.digest, listed.rename)
        planned = target.create_planned_image(image, name)
        named.append((listed, name, replace(planned, presupposed=presupposed)))
    return named


def compare_images(
    request: ImportRequest,
    named: Iterable[NamedImage],
    target: OpenTarget,
    engine: EngineOptions,
) -> list[Comparison]:
    """Compare the names of all images with the target, and report those that point elsewhere.

    Raises:
        ConflictError: the request does not allow that names are changed.
    """
    tasks = [partial(_compare, *item, target, request.existing) for item in named]
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
    names += [(tag, digest) for digest, tags in planned.referrer_names.items() for tag in tags]
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
                result = replace(result, state=_STATES[existing], former=str(state.current))
                if existing == "merge-platforms" and (
                    merged := _merge(planned, state.name, target, result)
                ):
                    planned, result = merged
                    if result.state == "same" and target.directory is None:
                        unchanged.add(state.name)
                    continue
                conflicts[full_name] = _describe_conflict(full_name, state)
        elif state.is_conflict:
            subject = f"{state.name}, a referrer of {full_name}"
            conflicts[state.name] = _describe_conflict(subject, state)
            if existing == "skip":
                unchanged.add(state.name)
    return result, _without_names(planned, unchanged), conflicts


def _describe_conflict(subject: str, state: NameState) -> str:
    expected, got = state.expected, state.current
    return f"{subject}: points to another digest (expected {expected}, got {got})"


def _without_names(
    planned: PlannedImage[Holdings], unchanged: Collection[str]
) -> PlannedImage[Holdings]:
    """Leave out the names of an image and its referrers that must not change, or need not."""
    return replace(
        planned,
        names=tuple(name for name in planned.names if name not in unchanged),
        referrer_names={
            digest: tuple(tag for tag in tags if tag not in unchanged)
            for digest, tags in planned.referrer_names.items()
        },
    )


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
