"""Export: resolve, fetch and seal a bundle on a medium; renew the one that is there.

Order of writing: the directory is locked; blobs and manifests are added beside those of the
former bundle, each checked; then the seal is replaced: index.json, SHA256SUMS, ``bundle.json``,
and the signatures last; then what the new bundle does not list is removed. Interrupted before the
seal, the former bundle is whole and signed; interrupted anywhere, a re-run completes the new one.
Where nothing has changed, nothing is touched.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler import __version__
from bundler.bundle.exporting import seal as sealing
from bundler.bundle.exporting.resolve_images import Found, Resolved, resolve_all
from bundler.bundle.format import checksums, directory, inventory, store
from bundler.bundle.format import signatures as signing
from bundler.bundle.format.inventory import (
    BundledImage,
    BundledReferrer,
    Inventory,
    Producer,
    format_time,
)
from bundler.bundle.media import filesystem
from bundler.bundle.verifying.verify import verify
from bundler.copy.engine import EngineOptions, ExecutionResult, execute
from bundler.copy.plan import Plan, Target, plan
from bundler.errors import BundlerError, ConflictError, MediumError, PartialError
from bundler.events import Notice
from bundler.oci import manifest as oci_manifest
from bundler.oci.manifest import Index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from bundler.bundle.format.inventory import Format
    from bundler.bundle.manifest.expand import Wanted
    from bundler.copy.graph import Referrer
    from bundler.ports import Destination, OpenOptions
    from bundler.trust.keys import PrivateKey

_OTHER: dict[Format, Format] = {"oci": "dir", "dir": "oci"}
_SLACK = 4 * 1024 * 1024  # directories, SHA256SUMS and the like, in bytes


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What kind of bundle is wanted, and where."""

    bundle: Path
    stream: str
    format: Format
    expires: timedelta | None = None
    keys: tuple[PrivateKey, ...] = ()
    """Empty: the bundle stays unsigned."""
    parents: bool = False
    """Whether directories above the bundle's own may be made."""
    on_system_disk: bool = False
    """Whether an empty directory for mounts may be used without a mount."""


@dataclass(frozen=True, slots=True)
class ExportPreview:
    """What an export would do."""

    resolved: Resolved
    plan: Plan
    refusal: MediumError | None
    """Why the export would be refused as things are; None: it would begin."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did."""

    bundle: Path
    inventory: Inventory
    signatures: tuple[str, ...]
    changed: bool
    """False: all was there already, and nothing was touched."""
    plan: Plan
    missing: tuple[tuple[str, BundlerError], ...]
    """References that are not in the bundle, and why; then it is not complete."""

    @property
    def referrers(self) -> int:
        """How many signatures, attestations and the like travel with the images."""
        return sum(len(image.referrers) for image in self.inventory.images)

    @property
    def left_behind(self) -> list[tuple[str, str]]:
        """References, and what refers to the index that a smaller one or one platform replaced."""
        return [
            (target.image.wish.label, referrer)
            for target in self.plan.targets
            for referrer in target.image.left_behind
        ]

    def check(self) -> None:
        """Return if the bundle is complete.

        Raises:
            PartialError: it is not.
        """
        if self.missing:
            lines = [error.naming(reference) for reference, error in self.missing]
            raise PartialError(f"{self.bundle} is not complete: not in it are", lines)

    def to_json(self) -> dict[str, Any]:
        """The same for machines; sizes in bytes."""
        contents = self.inventory
        return {
            "bundle": str(self.bundle),
            "changed": self.changed,
            "stream": contents.stream,
            "serial": contents.serial,
            "created": format_time(contents.created),
            "expires": contents.expires and format_time(contents.expires),
            "complete": contents.complete,
            "signatures": list(self.signatures),
            "moved": {"blobs": self.plan.count("push"), "bytes": self.plan.size("push")},
            "present": {"blobs": self.plan.count("present"), "bytes": self.plan.size("present")},
            "images": [
                {"reference": image.reference, "digest": image.digest.text}
                for image in contents.images
            ],
            "referrers": self.referrers,
            "leftBehind": [
                {"reference": name, "referrer": referrer} for name, referrer in self.left_behind
            ],
            "missing": [{"reference": name, "error": str(error)} for name, error in self.missing],
        }


def survey(
    order: ExportRequest, wanted: Sequence[Wanted], options: OpenOptions, running: EngineOptions
) -> ExportPreview:
    """Resolve and plan, without making or touching anything.

    Raises:
        BundlerError: something cannot be resolved, unless ``running.keep_going``.
    """
    refusal = None
    try:
        _check_medium(order, options)
    except MediumError as error:
        refusal = error
    with ExitStack() as stack:
        resolved = resolve_all(wanted, options, running, stack)
        targets = _targets(resolved, store.Unwritten(order.bundle, order.format), order)
        return ExportPreview(
            resolved, plan(targets, running.executor, running.cancellation), refusal
        )


def export(
    order: ExportRequest, wanted: Sequence[Wanted], options: OpenOptions, running: EngineOptions
) -> ExportReport:
    """Make or renew the bundle.

    Raises:
        NoSpaceError, MediumError: before the first byte where it can be known.
        LockedError: somebody else is writing there.
        ConflictError: another stream's bundle is there, or one of the other format.
        BundlerError: the first failure; what was pulled stays for the next run.
    """
    _check_medium(order, options)
    former = _former(order)
    with ExitStack() as stack:
        resolved = resolve_all(wanted, options, running, stack)
        if not resolved.found:
            lines = [item.error.naming(item.wanted.reference) for item in resolved.missing]
            raise PartialError("nothing could be resolved", lines)
        _check_medium(order, options)  # resolving takes a while: a medium may have been removed
        destination = store.open_for_export(order.bundle, order.format, options)
        stack.callback(destination.close)
        targets = _targets(resolved, destination, order)
        made = plan(targets, running.executor, running.cancellation)
        if former is not None and _same(order, resolved, made, former):
            unchanged = _unchanged(order, made, running)
            if unchanged is not None:
                return unchanged
        filesystem.check_room(order.bundle, made.size("push") + _overhead(made), made.largest)
        outcome = execute(made, running)
        if not outcome.published:
            lines = [error.naming(name) for name, error in outcome.failed.items()]
            raise PartialError(f"{order.bundle}: not written, since nothing arrived", lines)
        seal = sealing.prepare(
            order.bundle,
            _inventory(order, resolved, outcome, former),
            destination.index,
            order.keys,
        )
        sealing.write(order.bundle, seal)
        sealing.prune(order.bundle, seal.listed)
        missing = tuple(_missing(resolved, outcome))
        names = tuple(seal.signatures)
        return ExportReport(order.bundle, seal.inventory, names, True, made, missing)


def _check_medium(order: ExportRequest, options: OpenOptions) -> None:
    """Return if the bundle may be written where ``order`` says.

    Raises:
        MediumError: it may not.
    """
    found = filesystem.check_place(
        order.bundle,
        stream=order.stream,
        parents=order.parents,
        on_system_disk=order.on_system_disk,
    )
    if order.format == "dir" and not (found.hard_links or options.duplicate_blobs):
        raise MediumError(
            f"{order.bundle}: format dir needs hard links, and {found.file_system} has none",
            hint="leave --format at oci, or copy shared blobs with --duplicate-blobs",
        )


def _targets(resolved: Resolved, destination: Destination, order: ExportRequest) -> list[Target]:
    return [
        store.target(item.wanted.reference, item.image, destination, order.format)
        for item in resolved.found
    ]


def _overhead(made: Plan) -> int:
    return _SLACK + sum(len(task.manifest.raw) for task in made.manifests)


def _former(order: ExportRequest) -> Inventory | None:
    """What the directory held before, if it was a bundle that this program understands.

    Raises:
        ConflictError: a bundle that is not to be replaced by this one.
    """
    other = directory.IMAGES if order.format == "oci" else directory.BLOBS
    if (order.bundle / other).exists():
        raise ConflictError(
            f"{order.bundle}: holds a bundle of format {_OTHER[order.format]}, not {order.format}",
            hint="name another directory, or remove that bundle first",
        )
    try:
        former = signing.read_inventory(order.bundle)[1]
    except BundlerError:
        return None
    if former.stream != order.stream:
        raise ConflictError(
            f"{order.bundle}: holds the bundle of another stream,"
            f" {former.stream}, and not of {order.stream}",
            hint="name another directory, or remove that bundle first",
        )
    return former


def _same(order: ExportRequest, resolved: Resolved, made: Plan, former: Inventory) -> bool:
    """Whether the directory seems to hold the very bundle that is wanted."""
    return (
        made.count("push") == 0
        and not resolved.missing
        and former.complete
        and former.images == tuple(_bundled(item) for item in resolved.found)
        and _lifetime(former) == order.expires
        and not former.expired(datetime.now(UTC))
    )


def _unchanged(order: ExportRequest, made: Plan, running: EngineOptions) -> ExportReport | None:
    """The report of an export that has nothing to do; None if it has after all.

    What lies there is hashed again before that is said.
    """
    keys = [key.public for key in order.keys]
    checked = verify(order.bundle, keys, cancellation=running.cancellation, emit=running.emit)
    if not checked.whole:
        running.emit(Notice(f"{order.bundle} is damaged: what is damaged is written anew"))
        return None
    if checked.unlisted:
        sealing.prune(order.bundle, checksums.read(order.bundle))
    raw, contents = signing.read_inventory(order.bundle)
    signed = {key.id for key in checked.signers}
    added = signing.write_signatures(
        order.bundle, raw, [key for key in order.keys if key.public.id not in signed]
    )
    names = tuple(sorted(signing.read_signatures(order.bundle)))
    return ExportReport(order.bundle, contents, names, bool(added), made, ())


def _lifetime(contents: Inventory) -> timedelta | None:
    return None if contents.expires is None else contents.expires - contents.created


def _inventory(
    order: ExportRequest, resolved: Resolved, outcome: ExecutionResult, former: Inventory | None
) -> Inventory:
    """The inventory of what arrived, but for its ``sums``."""
    created = datetime.now(UTC).replace(microsecond=0)
    published = {target.image.wish.label for target in outcome.published}
    return Inventory(
        format=order.format,
        stream=order.stream,
        serial=inventory.next_serial(former.serial if former else None, created),
        created=created,
        tool=Producer("airbundle", __version__),
        sums=checksums.describe(b"", 0),
        images=tuple(
            _bundled(item) for item in resolved.found if item.wanted.reference in published
        ),
        expires=None if order.expires is None else created + order.expires,
        complete=not _missing(resolved, outcome),
    )


def _missing(resolved: Resolved, outcome: ExecutionResult) -> list[tuple[str, BundlerError]]:
    unresolved = [(item.wanted.reference, item.error) for item in resolved.missing]
    return [*unresolved, *outcome.failed.items()]


def _bundled(item: Found) -> BundledImage:
    wanted, image = item.wanted, item.image
    root = image.graph.root
    parsed = oci_manifest.parse(image.graph.manifests[-1].raw, root.media_type)
    treatment = None
    if isinstance(parsed, Index):
        treatment = "strip" if image.replaces else wanted.index if wanted.platforms else "all"
    return BundledImage(
        reference=wanted.reference,
        digest=root.digest,
        media_type=root.media_type,
        size=root.size,
        platforms=tuple(str(platform) for platform in image.graph.platforms),
        index=treatment,
        replaces=image.replaces,
        rename=wanted.rename,
        origin=wanted.origin,
        source=item.served_by,
        referrers=tuple(_referrer(found) for found in image.referrers),
    )


def _referrer(found: Referrer) -> BundledReferrer:
    root = found.graph.root
    parsed = oci_manifest.parse(found.graph.manifests[-1].raw, root.media_type)
    kind = oci_manifest.listed_type(parsed)
    return BundledReferrer(root.digest, root.media_type, root.size, found.subject, kind, found.tag)
