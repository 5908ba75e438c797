"""The import of a bundle whose content arrives in one order, and whose inventory arrives last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.format.inventory import BundledImage
    from bundler.copy.image import ResolvedImage
    from bundler.copy.plan import Plan
    from bundler.ports import Holdings, Node


class Arrival(Protocol):
    """A bundle whose content arrives in one order during the import."""

    def get_position(self, node: Node) -> int:
        """Return the position of ``node`` in the order of arrival."""

    def confirm(self, selected: Sequence[BundledImage], images: Sequence[ResolvedImage]) -> None:
        """Check that the bundle has arrived, before names are published; raise an error if not."""


def sort_blobs(plan: Plan[Holdings], arrival: Arrival | None) -> Plan[Holdings]:
    """Return the plan with its blobs in the order in which they arrive; None: unchanged."""
    if arrival is None:
        return plan
    in_order = sorted(plan.blobs, key=lambda task: arrival.get_position(task.node))
    return replace(plan, blobs=tuple(in_order))
