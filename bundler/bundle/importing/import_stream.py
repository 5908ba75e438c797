"""Import a bundle from an archive that arrives in a stream, while it arrives.

The sealed plan is authenticated, and everything that manifests and configs can tell is checked.
Then each blob is pushed as it arrives, one after the other, and compared with its digest. The
inventory arrives last: it is authenticated and compared with the plan, and only then are names
published. Nothing is stored temporarily.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.bundle.format.archive.layout import find_path
from bundler.bundle.format.archive.stream_files import StreamFiles
from bundler.bundle.format.bundle_source import BundleSource
from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory import presupposed as presupposing
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.plan.authenticate_plan import open_plan
from bundler.bundle.format.plan.sealed_plan import MAX_CONTENTS
from bundler.bundle.importing.import_bundle import push_images
from bundler.bundle.importing.report import ImportReport
from bundler.bundle.importing.target import RegistryTarget
from bundler.errors import (
    IntegrityError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UsageError,
)
from bundler.oci.reference import ImageReference
from bundler.ports import ReadsInOrder, RegistryRepository
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage, ChecksumFile
    from bundler.bundle.format.reading.stream_location import StreamLocation
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.content.streams import Reader
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.copy.plan import BlobTask, Plan
    from bundler.oci.digest import Digest
    from bundler.ports import Destination, Node, Source


class StreamedSource(BundleSource, ReadsInOrder):
    """The images of a bundle that arrives: content is read once, in the order of its arrival.

    A blob that a registry does not mount is read from the repository that has received it.
    """

    find_receiver: Callable[[Node], Source | None] = staticmethod(lambda _: None)

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open ``node``, which arrives next, or has arrived.

        Raises:
            DamagedBundleError: it is missing.
            RegistryError: it has passed, and the target has not received it.
        """
        try:
            return super().open(node, offset)
        except RegistryError as error:
            receiver = self.find_receiver(node)
            if receiver is None:
                raise
            try:
                return receiver.open(node, offset)
            except NotFoundError:
                raise error from None


def import_stream(
    request: ImportRequest, location: StreamLocation, engine: EngineOptions
) -> ImportReport:
    """Import a bundle from standard input, or from an encrypted archive.

    Raises:
        UsageError: a dry run, which would have to read everything and keep nothing.
        BundlerError: as ``import_bundle``; no name was changed.
    """
    if request.dry_run:
        raise UsageError(
            f"--dry-run does not apply to {location.describe()}",
            hint="write the archive to a file, without encryption, and import it",
        )
    started = datetime.now(UTC)
    with location.open() as stream, ExitStack() as stack:
        arrival = _Arrival(request, StreamFiles(stream, str(location.path)), engine)
        announced = arrival.announce()
        if request.preview is not None:
            request.preview(announced)
        source = StreamedSource(arrival.files, announced.inventory)
        source.find_receiver = partial(arrival.find_receiver, stack)
        try:
            pushed = push_images(request, announced, source, engine, stack, arrival=arrival)
        except IntegrityError as error:
            if error.hint is None:
                error.hint = "no name was changed; run both commands again"
            raise
    assert arrival.bundle is not None  # noqa: S101 - confirmed before the names
    return ImportReport(
        bundle=arrival.bundle,
        target=str(request.target),
        images=tuple(pushed.results),
        totals=pushed.totals,
        started=started,
        ended=datetime.now(UTC),
        omissions=pushed.omissions,
        policy=request.policy,
        rules=arrival.rules,
        verified_pushed=pushed.verified_pushed,
    )


@dataclass(slots=True)
class _Arrival:
    """A bundle that arrives: first its plan, at last its inventory."""

    request: ImportRequest
    files: StreamFiles
    engine: EngineOptions
    bundle: AuthenticatedBundle | None = None
    """The bundle, once its inventory has arrived."""
    rules: dict[str, Any] | None = None
    presupposed_file: ChecksumFile | None = None
    """The list of the presupposed blobs that has arrived; None: there is none."""
    receivers: dict[Digest | None, str] = field(default_factory=dict)
    """The repository to which each blob is pushed."""

    def announce(self) -> AuthenticatedBundle:
        """Authenticate the plan; return the bundle that it announces, whose bytes are the plan's.

        Raises:
            TrustError: it is not signed as required.
            IntegrityError, LimitError, NotFoundError: it is malformed, or not an archive.
        """
        request, files = self.request, self.files
        now = request.now or datetime.now(UTC)
        plan, announced = open_plan(
            files, request.trust, now, allow_unsigned=request.allow_unsigned
        )
        contents = files.read(bundle_paths.CONTENTS, MAX_CONTENTS)
        files.expect(sealed_plan.parse_contents(contents, plan.contents))
        if files.get_size(bundle_paths.PRESUPPOSED) is None:
            return announced
        raw = files.read(bundle_paths.PRESUPPOSED, presupposing.MAX_FILE)
        self.presupposed_file = presupposing.describe(raw)  # the inventory has to confirm it
        inventory = replace(announced.inventory, presupposed_file=self.presupposed_file)
        return replace(announced, inventory=inventory)

    def prepare(
        self,
        plan: Plan[Destination],
        engine: EngineOptions,
        selected: Sequence[BundledImage],
        images: Sequence[ResolvedImage],
    ) -> tuple[Plan[Destination], EngineOptions]:
        """Return the plan in the order of arrival, and options that call ``confirm``."""

        def find_position(task: BlobTask[Destination]) -> int:
            assert task.node.digest is not None  # noqa: S101 - each node of a bundle has one
            return self.files.get_position(find_path(task.node.digest))

        for task in plan.blobs:
            if task.action != "mount" and isinstance(task.destination, RegistryRepository):
                self.receivers[task.node.digest] = task.destination.repository
        plan = replace(plan, blobs=tuple(sorted(plan.blobs, key=find_position)))
        return plan, replace(engine, before_commit=partial(self.confirm, selected, images))

    def find_receiver(self, stack: ExitStack, node: Node) -> Source | None:
        """Open the repository to which ``node`` was pushed; ``stack`` closes it."""
        repository, target = self.receivers.get(node.digest), self.request.target
        if repository is None or not isinstance(target, RegistryTarget):
            return None
        reference = ImageReference.parse(f"{target.host}/{repository}@{node.digest}")
        location = create_registry_reference(reference, target.front)
        source = transports.open_source(location, self.request.options)
        stack.callback(source.close)
        return source

    def confirm(self, selected: Sequence[BundledImage], images: Sequence[ResolvedImage]) -> None:
        """Authenticate the inventory, and compare it with the plan, before names are published.

        Raises:
            TrustError: it is not signed as required, or the records of the site refuse it.
            MalformedError: it is not the inventory of the announced bundle.
        """
        request, files = self.request, self.files
        files.finish()
        plan = sealed_plan.parse_sealed_plan(files.read(bundle_paths.PLAN, MAX_INVENTORY))
        bundle = request.open(files)
        inventory = bundle.inventory
        stated = (inventory.stream, inventory.serial, inventory.created, inventory.expires)
        if stated != (plan.stream, plan.serial, plan.created, plan.expires):
            raise MalformedError(f"{files.location}: the inventory is that of another bundle")
        if inventory.presupposed_file != self.presupposed_file:
            raise MalformedError(
                f"{files.location}: {bundle_paths.PRESUPPOSED} is not the one of the inventory"
            )
        arrived = {image.reference: image.digest for image in inventory.images}
        for image in selected:
            if arrived.get(image.reference) != image.digest:
                raise MalformedError(
                    f"{files.location}: {image.reference}: announced, but not in the inventory",
                    hint="import the other images with --only PATTERN, or export it again",
                )
        if request.admit is not None:
            request.admit(bundle)
        if request.gate is not None:  # the evidence is about the bundle that was admitted
            self.rules = request.gate(bundle, selected, images, self.engine)
        self.bundle = bundle
