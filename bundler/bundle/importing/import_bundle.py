"""Import a bundle: authenticate it, check it, then push its images to a target.

``bundle.json`` is read once, authenticated, and only then parsed. Before the first byte is pushed,
all manifests are verified, all blobs are checked to exist with their sizes, and all target names
are compared with the target. Blobs are hashed while they are pushed, and names are published last.
The target is the only registry that is accessed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from bundler.bundle.format import bundle_source, read_back_record
from bundler.bundle.format.authenticate import open_bundle
from bundler.bundle.format.inventory import absent_layers, presupposed as presupposing
from bundler.bundle.format.inventory.omissions import Omissions
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.reading.stream_location import StreamLocation
from bundler.bundle.format.reading.volume_files import VolumeFiles
from bundler.bundle.importing.comparing.compare_images import compare_images, name_images
from bundler.bundle.importing.comparing.signatures import merge_signatures
from bundler.bundle.importing.policy_use import NO_POLICY, PolicyUse
from bundler.bundle.importing.report import ImageResult, ImportReport
from bundler.bundle.importing.selected_images import (
    check_present,
    format_verify_hint,
    resolve_images,
    select_images,
)
from bundler.bundle.importing.target import DirectoryTarget, open_target
from bundler.cancel import Cancellation
from bundler.copy.engine import EngineOptions, ExecutionResult, execute
from bundler.copy.parallel import run_all
from bundler.copy.plan import Plan, create_plan
from bundler.copy.target_names import NameMapping, find_unused_rules
from bundler.errors import (
    IntegrityError,
    UnsupportedError,
    VolumesOwedError,
)
from bundler.events import BlobTotal, TransferTotals, WarningIssued
from bundler.trust.bundle_trust import NO_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.format.reading.open_files import AnyLocation
    from bundler.bundle.importing.arrival import Arrival
    from bundler.bundle.importing.comparing.compare_images import Comparison, Existing
    from bundler.bundle.importing.target import ImportTarget
    from bundler.copy.image import ResolvedImage
    from bundler.copy.planned_image import PlannedImage
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Destination, Holdings, OpenOptions
    from bundler.trust.bundle_trust import BundleTrust

GateCheck: TypeAlias = (
    "Callable["
    "[AuthenticatedBundle, Sequence[BundledImage], Sequence[ResolvedImage], EngineOptions],"
    " dict[str, Any] | None]"
)
"""Raises an error if the selected images, which are resolved, must not be imported. Returns the
member ``rules`` of the receipt; None: there are no rules."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """The bundle to import, the trust in its signers, and the target."""

    bundle: AnyLocation
    target: ImportTarget
    options: OpenOptions
    """Options for opening the target."""
    trust: BundleTrust = NO_KEYS
    signature_files: tuple[Path, ...] = ()
    """Signatures of the bundle that are stored elsewhere."""
    allow_unsigned: bool = False
    allow_expired: bool = False
    admit: Callable[[AuthenticatedBundle], None] | None = None
    """Checks the bundle against the records of the site, and its expiry; None: only the expiry is
    checked, against the clock."""
    preview: Callable[[AuthenticatedBundle], None] | None = None
    """Checks a bundle that arrives in a stream by its plan, before ``admit`` does."""
    note_fork: Callable[[AuthenticatedBundle], None] | None = None
    """Records an authentic bundle that is refused because of a fork of the trust file."""
    gate: GateCheck | None = None
    """Refuses or records images by their content before the target is opened; None: neither."""
    note_owed: Callable[[VolumeFiles, Collection[str]], None] | None = None
    """Notes the digests of the layers that the target lacks while volumes are missing; called
    before the content of the others is pushed, and again afterwards. None: nobody does."""
    names: NameMapping = field(default_factory=NameMapping)
    only: tuple[GoExpression, ...] = ()
    """Import images whose full name contains a match of one of these patterns; empty: all."""
    existing: Existing = "error"
    """The action if a target name already points to another digest."""
    policy: PolicyUse = NO_POLICY
    """Decides on the images under the names in the inventory."""
    now: datetime | None = None
    """The time that the validity of keys is compared with; None: the current time."""
    publish_as_complete: bool = False
    """Publish the images of which all content has come, even if volumes are missing for others."""
    verify_pushed: bool = False
    """Read everything back from the target, and compare it with its digests."""
    asks_target: bool = True
    """Whether the target is asked for presupposed blobs; False if it cannot be accessed."""
    dry_run: bool = False
    """Only compare and plan; nothing is created, locked or pushed."""

    def open(self, files: BundleFiles) -> AuthenticatedBundle:
        """Authenticate the bundle; raises as ``authenticate.open_bundle``."""
        return open_bundle(
            files,
            self.trust,
            signature_files=self.signature_files,
            allow_unsigned=self.allow_unsigned,
            allow_expired=self.allow_expired or self.admit is not None,
            now=self.now,
            note_fork=self.note_fork,
        )


class Pushed(NamedTuple):
    """The results of the selected images."""

    results: list[ImageResult]
    totals: TransferTotals
    """Those of a dry run are as planned."""
    omissions: Omissions
    """The content that neither the bundle nor the target has."""
    rules: dict[str, Any] | None
    """The member ``rules`` of the receipt."""
    verified_pushed: BlobTotal | None = None
    """The manifests and blobs that were read back from the target."""
    owed: VolumesOwedError | None = None
    """The volumes for which images wait that are not among the results."""


def import_bundle(request: ImportRequest, engine: EngineOptions) -> ImportReport:
    """Import a bundle.

    Raises:
        InvalidSignatureError, UnauthenticatedError, ExpiredError: the bundle is not trusted.
        DamagedBundleError: content is missing or has the wrong size; nothing was pushed.
        IntegrityError: a blob is damaged; no name has changed.
        ConflictError: target names point to other digests; nothing was pushed.
        UnsupportedError: the target rejects a sparse index; nothing was pushed.
        TrustError: ``admit`` refuses the bundle; nothing was pushed.
        RejectedByRulesError: ``gate`` refuses an image; nothing was pushed.
    """
    if isinstance(request.bundle, StreamLocation):
        from bundler.bundle.importing.import_stream import import_stream  # noqa: PLC0415 - only for streams

        return import_stream(request, request.bundle, engine)
    with open_files(request.bundle) as files:
        return _import(request, files, engine)


def _import(request: ImportRequest, files: BundleFiles, engine: EngineOptions) -> ImportReport:
    is_tree = isinstance(request.target, DirectoryTarget) and request.target.format == "dir"
    if request.existing == "merge-platforms" and is_tree:
        raise UnsupportedError(
            f"{request.target}: cannot merge-platforms, because each directory has one image",
            hint="use an image layout, oci:DIR, or --existing overwrite",
        )
    started = datetime.now(UTC)
    files.accepts_partial = True
    if files.is_partial:
        from bundler.bundle.importing.partial_archive import push_partial  # noqa: PLC0415 - rare

        push_partial(request, files, engine)
    if isinstance(files, VolumeFiles):
        from bundler.bundle.format.plan.authenticate_plan import open_plan  # noqa: PLC0415 - only for volumes

        files.reads_announced = not files.has_inventory
        # All volumes together are a bundle, to which signatures may have been added later.
        allowed = request.allow_unsigned or files.is_complete
        open_plan(files, request.trust, request.now or started, allow_unsigned=allowed)
    bundle = request.open(files)
    if request.admit is not None:
        request.admit(bundle)
    with ExitStack() as stack:
        try:
            source = bundle_source.BundleSource(files, bundle.inventory)
            pushed = push_images(request, bundle, source, engine, stack)
            _note_owed(request, files, pushed.owed)
        except VolumesOwedError as error:
            _note_owed(request, files, error)
            raise
        except IntegrityError as error:
            # An import reports only the first damaged blob.
            if error.hint is None:
                error.hint = f"no name was changed; {format_verify_hint(files.location)}"
            raise
    return ImportReport(
        bundle=bundle,
        target=str(request.target),
        images=tuple(pushed.results),
        totals=pushed.totals,
        started=started,
        ended=datetime.now(UTC),
        omissions=pushed.omissions,
        read_back=read_back_record.read(files, bundle.raw),
        policy=request.policy,
        rules=pushed.rules,
        verified_pushed=pushed.verified_pushed,
        owed=pushed.owed,
    )


def _note_owed(request: ImportRequest, files: BundleFiles, owed: VolumesOwedError | None) -> None:
    if owed is not None and request.note_owed is not None and isinstance(files, VolumeFiles):
        request.note_owed(files, owed.layers)


def push_images(
    request: ImportRequest,
    bundle: AuthenticatedBundle,
    source: bundle_source.BundleSource,
    engine: EngineOptions,
    stack: ExitStack,
    *,
    arrival: Arrival | None = None,
) -> Pushed:
    """Check the requested images, compare their names with the target, and push them.

    ``arrival`` is that of a bundle whose content arrives during the import.
    """
    files, inventory = source.files, bundle.inventory
    selected = select_images(inventory, request.only)
    images = _resolve_with_signatures(selected, source, request, engine)
    presupposed = _read_presupposed(files, inventory)
    check_present(selected, images, source, "nothing was imported", presupposed=presupposed.keys())
    rules = None if request.gate is None else request.gate(bundle, selected, images, engine)
    target = open_target(request.target, request.options, stack, writable=not request.dry_run)
    _report_unused_rules(request.names, inventory, engine)
    named = name_images(request, selected, images, target, presupposed.keys())
    comparisons = compare_images(request, named, target, engine)
    planned_images = _list_changed(comparisons, request)
    held, owed = TransferTotals(), None
    if presupposed and request.asks_target:
        from bundler.bundle.importing.partial_import import provide_blobs  # noqa: PLC0415 - rare

        planned_images, held, owed, waiting = provide_blobs(
            request, files, presupposed, planned_images, target, engine=engine
        )
        comparisons = [item for item in comparisons if str(item[0].image.reference) not in waiting]
        selected = [image for image in selected if str(image.reference) not in waiting]
    results = [result for result, *_ in comparisons]
    plan = create_plan(planned_images, engine.executor, engine.cancellation)
    omissions = Omissions(
        _find_absent_layers(comparisons, engine), Omissions.of(selected).referrers
    )
    if request.dry_run:
        return Pushed(results, plan.totals + held, omissions, rules, owed=owed)
    executable = cast("Plan[Destination]", plan)
    if arrival is not None:
        executable, engine = arrival.prepare(executable, engine, selected, images)
    target.prepare(executable)
    executed = execute(executable, replace(engine, read_back=request.verify_pushed))
    return Pushed(
        _add_failures(results, executed),
        executed.totals + held,
        omissions,
        rules,
        _verify_pushed(executed, engine) if request.verify_pushed else None,
        owed,
    )


def _resolve_with_signatures(
    selected: Sequence[BundledImage],
    source: bundle_source.BundleSource,
    request: ImportRequest,
    engine: EngineOptions,
) -> list[ResolvedImage]:
    """Resolve the images in the bundle, with the signature files that it has of them."""
    signatures = [source.signature_files.of_image(image) for image in selected]
    images = resolve_images(selected, source, request.policy.check, engine)
    return [
        replace(image, signatures=of_image)
        for image, of_image in zip(images, signatures, strict=True)
    ]


def _read_presupposed(files: BundleFiles, inventory: Inventory) -> Mapping[Digest, HeldBlob]:
    """Return the blobs that the bundle, or its present volumes, lack."""
    listed = presupposing.read(files, inventory)
    return {**listed, **files.list_elsewhere()} if isinstance(files, VolumeFiles) else listed


def _report_unused_rules(mapping: NameMapping, inventory: Inventory, engine: EngineOptions) -> None:
    references = [str(image.reference) for image in inventory.images]
    for rule in find_unused_rules(mapping.rules, references):
        engine.emit(WarningIssued(f"rename rule {rule[:200]!r} matches no image of the bundle"))


def _list_changed(
    comparisons: Sequence[Comparison], request: ImportRequest
) -> list[PlannedImage[Holdings]]:
    """Return the images to push, each signature once."""
    changed = [planned for result, planned, _ in comparisons if result.state != "skipped"]
    if request.dry_run:  # the holdings of a directory cannot store anything
        changed = [replace(item, image=replace(item.image, signatures={})) for item in changed]
    return merge_signatures(changed)


def _add_failures(results: Sequence[ImageResult], executed: ExecutionResult) -> list[ImageResult]:
    """Add to the results which images failed, and which referrers the target refused."""
    described = []
    for result in results:
        name = str(result.image.reference)
        error, refused = executed.failed.get(name), executed.refused_referrers.get(name)
        changed = result
        if error is not None:
            changed = replace(changed, state="failed", error=str(error))
        if refused:
            changed = replace(changed, refused_referrers=refused)
        described.append(changed)
    return described


def _verify_pushed(executed: ExecutionResult, engine: EngineOptions) -> BlobTotal:
    """Read the manifests back from the target, whose blobs the engine has read back."""
    from bundler.copy import read_back  # noqa: PLC0415 - on request

    blobs = [task.node.size or 0 for task in read_back.list_blobs(executed.published)]
    return BlobTotal.of(blobs) + read_back.verify_published(executed.published, engine)


def _find_absent_layers(
    comparisons: Sequence[Comparison], engine: EngineOptions
) -> tuple[tuple[str, Descriptor], ...]:
    """Return the foreign layers that neither the bundle nor the target has, with their images."""
    absent = [
        (str(result.image.reference), node, planned.destination)
        for result, planned, _ in comparisons
        for node in planned.image.absent_layers
    ]
    checks = [partial(destination.has, node) for _, node, destination in absent]
    present = run_all(engine.executor, checks, Cancellation(engine.cancellation))
    return tuple(
        (name, layer)
        for (name, node, _), is_present in zip(absent, present, strict=True)
        for layer in absent_layers.from_nodes([] if is_present else [node])
    )
