"""Copy one image, with all that belongs to it, from one place to another."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler import transports
from bundler.copy.engine import Running, execute
from bundler.copy.plan import Plan, Target, plan
from bundler.copy.resolve import Image, Wish, resolve
from bundler.copy.select import EVERYTHING, Selection

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Options, Reference


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """What to copy, and where to."""

    source: Reference
    destination: Reference
    selection: Selection = EVERYTHING
    referrers: bool = False


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied, or would be."""

    destination: str
    image: Image
    plan: Plan

    @property
    def root(self) -> Descriptor:
        """What the name at the destination stands for."""
        return self.image.graph.root

    def to_json(self) -> dict[str, Any]:
        """The same for machines; sizes in bytes."""
        return {
            "source": self.image.wish.label,
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
    order: CopyOrder, reading: Options, writing: Options, running: Running, *, dry_run: bool = False
) -> CopyReport:
    """Copy an image; with ``dry_run`` only find out what would move.

    Args:
        order: what to copy.
        reading: how to open the source.
        writing: how to open the destination.
        running: how to go about it.
        dry_run: whether nothing is to be moved.

    Raises:
        BundlerError: the first failure; no name has changed.
    """
    origin, goal = order.source, order.destination
    with ExitStack() as stack:
        source = transports.transport(origin.transport).source(origin, reading)
        stack.enter_context(closing(source))
        wish = Wish(source, origin.name, str(origin), order.selection, order.referrers)
        image = resolve(wish)
        destination = transports.transport(goal.transport).destination(goal, writing)
        stack.enter_context(closing(destination))
        target = Target(image, destination, (goal.name,) if goal.name else ())
        made = plan([target], running.executor, running.cancellation)
        if not dry_run:
            execute(made, running)
    return CopyReport(str(goal), image, made)
