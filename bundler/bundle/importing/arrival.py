"""The import of a bundle whose content arrives in one order, and whose inventory arrives last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.copy.plan import Plan
    from bundler.ports import Destination


class Arrival(Protocol):
    """A bundle whose content arrives in one order during the import."""

    def prepare(
        self,
        plan: Plan[Destination],
        engine: EngineOptions,
        selected: Sequence[BundledImage],
        images: Sequence[ResolvedImage],
    ) -> tuple[Plan[Destination], EngineOptions]:
        """Return the plan of the ``selected`` images with its blobs in the order of arrival.

        With the returned options, the engine checks that the bundle has arrived before it publishes
        names.
        """
