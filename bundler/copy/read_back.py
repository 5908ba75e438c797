"""Read again what a destination stores, and compare it with the digests of what was pushed.

Blobs are read before any name is published, manifests and names afterwards. Each blob is read once,
even if it was mounted into several repositories of a registry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bundler.cancel import Cancellation
from bundler.content.streams import drain
from bundler.copy.blob_transfer import BlobActivity
from bundler.copy.parallel import run_all
from bundler.errors import (
    DigestMismatchError,
    IntegrityError,
    MisreportedDigestError,
    NotFoundError,
    UnsupportedError,
)
from bundler.events import BlobTotal
from bundler.ports import (
    Node,
    ReadableDestination,
    ReadsBack,
    RefusesReferrers,
    RegistryRepository,
    TagResolver,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.copy.engine import EngineOptions
    from bundler.copy.planned_image import PlannedImage
    from bundler.ports import Destination


@dataclass(frozen=True, slots=True)
class ReadBackTask:
    """A blob or manifest to read at its destination."""

    destination: Destination
    labels: tuple[str, ...]
    """The images that contain it."""
    node: Node


def list_blobs(images: Iterable[PlannedImage[Destination]]) -> list[ReadBackTask]:
    """Return a task for each blob of ``images`` that their destinations should have."""
    tasks: dict[object, ReadBackTask] = {}
    for planned in images:
        label, destination = planned.image.display_name, planned.destination
        scope: object = destination
        if isinstance(destination, RegistryRepository):
            scope = destination.mount_scope
        for node in (node for graph in planned.image.graphs for node in graph.blobs):
            if planned.find_source(node) is None:
                continue  # a foreign layer that was not pushed
            key = (scope, node.digest)
            task = tasks.setdefault(key, ReadBackTask(destination, (), node))
            if label not in task.labels:
                tasks[key] = replace(task, labels=(*task.labels, label))
    return list(tasks.values())


def verify(options: EngineOptions, task: ReadBackTask) -> None:
    """Read a blob or manifest at its destination, and compare it with its digest and size.

    Raises:
        MisreportedDigestError: the destination stores other bytes, or none.
        UnsupportedError: the destination cannot be read.
        RegistryError: reading failed.
    """
    node, destination = task.node, task.destination
    subject = f"{task.labels[0]}: {node.kind} read back"
    if isinstance(destination, ReadsBack):
        stored = destination.read_back(node)
    elif isinstance(destination, ReadableDestination):
        stored = destination.open(node)
    else:
        raise UnsupportedError(
            f"{task.labels[0]}: the target cannot be read back", hint="leave out --verify-pushed"
        )
    try:
        with (
            BlobActivity(node, "check", options.cancellation, options.emit) as activity,
            stored as stream,
        ):
            drain(activity.create_reader(stream))
            activity.report_progress()
    except NotFoundError:
        got = "nothing"
    except IntegrityError as error:
        got = error.got if isinstance(error, DigestMismatchError) else "other bytes"
    else:
        return
    failure = MisreportedDigestError(subject, expected=str(node.digest), got=got)
    failure.hint = (
        "the target does not store what it received: look for errors in its log, then import again"
    )
    raise failure


def verify_published(
    images: Sequence[PlannedImage[Destination]], options: EngineOptions
) -> BlobTotal:
    """Read the manifests of published images, and resolve their names; return the manifests.

    Raises:
        MisreportedDigestError: a manifest differs, or a name points to something else.
        RegistryError: reading failed.
    """
    tasks: dict[object, ReadBackTask] = {}
    names = []
    for planned in images:
        label, destination = planned.image.display_name, planned.destination
        refused = destination.refused_referrers if isinstance(destination, RefusesReferrers) else {}
        for graph in planned.image.graphs:
            if graph.root.digest in refused:
                continue
            for item in graph.manifests:
                node = Node.of(item.descriptor, "manifest")
                tasks[destination, node.digest] = ReadBackTask(destination, (label,), node)
        names += [partial(_verify_name, planned, name) for name in planned.names]
    calls = [partial(verify, options, task) for task in tasks.values()]
    run_all(options.executor, [*calls, *names], Cancellation(options.cancellation))
    return BlobTotal.of([task.node.size or 0 for task in tasks.values()])


def _verify_name(planned: PlannedImage[Destination], name: str) -> None:
    destination, expected = planned.destination, planned.image.graph.root.digest
    if not isinstance(destination, TagResolver):
        return
    try:
        got = destination.resolve(name).digest.text
    except NotFoundError:
        got = "nothing"
    if got != expected.text:
        subject = f"{planned.image.display_name}: name {name} read back"
        raise MisreportedDigestError(subject, expected=expected.text, got=got)
