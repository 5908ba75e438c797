"""Undo an import into a registry: let each name point again to what it did before.

A receipt contains for each name the digest that the import published, and the one before it. A name
that points to another digest since then is not changed. Content is not deleted; a registry may
remove content to which no name refers.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from bundler import transports
from bundler.bundle.importing.target import RegistryTarget, parse_target
from bundler.bundle.records.receipts import MAX_RECEIPT, TYPE
from bundler.copy.blob_transfer import push_bytes
from bundler.copy.parallel import run_all
from bundler.copy.resolving.fetch import fetch
from bundler.errors import (
    BundlerError,
    ConflictError,
    InvalidReferenceError,
    NotFoundError,
    PartialError,
    UnsupportedError,
    UsageError,
    count,
)
from bundler.oci.json.table import Table
from bundler.oci.reference import ImageReference
from bundler.ports import DeletesTags, Node, Publication
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.engine import EngineOptions
    from bundler.oci.digest import Digest
    from bundler.ports import Destination, OpenOptions

MAX_IMAGES = 100_000

UndoState = Literal["restored", "removed", "unchanged", "moved", "failed"]
"""``restored``: points to the former digest again. ``removed``: did not exist before the import.
``unchanged``: nothing had to be done. ``moved``: points to something else since then."""


@dataclass(frozen=True, slots=True)
class PublishedName:
    """A name that an import published."""

    name: ImageReference
    """The target name with its tag."""
    digest: Digest
    former: Digest | None
    """The digest that it had before; None: it did not exist."""


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """The part of a receipt that an undo needs."""

    target: RegistryTarget
    names: tuple[PublishedName, ...]

    @classmethod
    def parse(cls, raw: bytes, subject: str) -> Self:
        """Parse a receipt.

        Raises:
            MalformedError, LimitError: it is not a receipt, or names an image at another host than
                that of the target.
            UnsupportedError: the import was into a directory, which keeps no former content.
        """
        table = Table.parse(raw, subject, limit=MAX_RECEIPT)
        if table.text("_type") != TYPE:
            raise table.problem(f"_type is not {TYPE}")
        try:
            target = parse_target(table.text("target"))
        except UsageError as error:
            raise table.problem(f"target: {error.message}") from None
        if not isinstance(target, RegistryTarget):
            raise UnsupportedError(
                f"{subject}: an import into {target} cannot be undone (expected a registry)",
                hint="import the former bundle again, with --allow-rollback and --reason",
            )
        names = []
        for image in table.tables("images", MAX_IMAGES):
            action = image.text("action")
            if action not in ("new", "replaced", "merged"):
                continue
            published = image.table("merged") if action == "merged" else image
            try:
                name = ImageReference.parse(image.text("name"))
            except InvalidReferenceError as error:
                raise image.problem(f"name: {error.message}") from None
            if name.domain != target.domain:
                raise image.problem(f"name: {name} is not at the target {target}")
            if name.tag is None:
                continue  # named by its digest, which no other image can have
            former = image.digest("former") if image.value.get("former") else None
            names.append(PublishedName(name, published.digest("digest"), former))
        return cls(target, tuple(names))


@dataclass(frozen=True, slots=True)
class UndoneName:
    """The result for one name."""

    published: PublishedName
    state: UndoState
    problem: str = ""
    """Why the name was not changed back."""

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        former = self.published.former
        return {
            "name": str(self.published.name),
            "state": self.state,
            "digest": self.published.digest.text,
            "former": former and former.text,
            **({"problem": self.problem} if self.problem else {}),
        }


def compare(
    record: ImportRecord, options: OpenOptions, engine: EngineOptions
) -> tuple[UndoneName, ...]:
    """Compare the names with the target; return what has to be done for each one.

    Raises:
        RegistryError: the target cannot be read.
        CancelledError: the run was cancelled.
    """
    tasks = [partial(_compare, record.target, item, options) for item in record.names]
    return tuple(run_all(engine.executor, tasks, engine.cancellation))


def check_unchanged(compared: Sequence[UndoneName]) -> None:
    """Check that no name points to something else than what the import published.

    Raises:
        ConflictError: some do.
    """
    moved = [item for item in compared if item.state == "moved"]
    if moved:
        lines = [f"{item.published.name}: {item.problem}" for item in moved]
        raise ConflictError(
            "\n".join(["names have changed since the import; nothing was undone", *lines]),
            subjects=[str(item.published.name) for item in moved],
            hint="undo the other names with --keep-going",
        )


def change(
    record: ImportRecord, compared: Sequence[UndoneName], options: OpenOptions
) -> tuple[UndoneName, ...]:
    """Change the names back that have not changed since; return the result of each name.

    If the run is cancelled, the remaining ones have failed.
    """
    return tuple(
        _change(record.target, item, options) if item.state in ("restored", "removed") else item
        for item in compared
    )


def check(results: Sequence[UndoneName]) -> None:
    """Check that every name was changed back.

    Raises:
        PartialError: some were not.
    """
    lines = [
        f"{item.published.name}: {item.problem}"
        for item in results
        if item.state in ("moved", "failed")
    ]
    if lines:
        raise PartialError(f"{count(len(lines), 'name')} not undone", lines)


def _compare(target: RegistryTarget, published: PublishedName, options: OpenOptions) -> UndoneName:
    """Return what has to be done for a name, as the state that it will have."""
    current = _resolve(target, published.name, options)
    if current == published.former:
        return UndoneName(published, "unchanged")
    if current != published.digest:
        found = "does not exist" if current is None else f"points to {current}"
        return UndoneName(published, "moved", f"{found} (expected {published.digest})")
    if published.former is None:
        return UndoneName(published, "removed")
    if (
        _resolve(target, replace(published.name, tag=None, digest=published.former), options)
        is None
    ):
        problem = f"the registry no longer has the former image {published.former}"
        return UndoneName(published, "failed", problem)
    return UndoneName(published, "restored")


def _change(target: RegistryTarget, item: UndoneName, options: OpenOptions) -> UndoneName:
    """Change a name back, and return the result; of a cancelled run too, since it is logged."""
    name, former = item.published.name, item.published.former
    reference = create_registry_reference(name, target.front)
    try:
        with closing(transports.open_destination(reference, options)) as destination:
            if former is not None:
                _publish(destination, target, replace(name, tag=None, digest=former), name, options)
            elif isinstance(destination, DeletesTags):
                destination.untag(reference.name)
    except BundlerError as error:
        return UndoneName(item.published, "failed", error.message)
    return item


def _publish(
    destination: Destination,
    target: RegistryTarget,
    former: ImageReference,
    name: ImageReference,
    options: OpenOptions,
) -> None:
    """Let ``name`` point to the manifest ``former``, whose content the registry still has."""
    reference = create_registry_reference(former, target.front)
    with closing(transports.open_source(reference, options)) as source:
        root = source.resolve(reference.name)
        raw = fetch(source, root, str(former))
    push_bytes(Node.of(root, "manifest"), raw, destination)
    destination.commit([Publication(root, (str(name.tag),))])


def _resolve(target: RegistryTarget, name: ImageReference, options: OpenOptions) -> Digest | None:
    """Return the digest that a name points to; None if it does not exist."""
    reference = create_registry_reference(name, target.front)
    with closing(transports.open_source(reference, options)) as source:
        try:
            return source.resolve(reference.name).digest
        except NotFoundError:
            return None
