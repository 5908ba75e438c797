"""Check the images of an import before the first push, and keep what was read of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.rules.reading.read_images import read_selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.rules.gate import Gate
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.bundle.records.import_session import ImportSession
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage


@dataclass(frozen=True, slots=True)
class KeepingGate:
    """The rules of an import, and the records that keep what is read for it."""

    session: ImportSession
    gate: Gate | None
    """None: there are no rules."""
    keeps_packages: bool = False
    """Whether layers are read for their packages even if no rule needs them."""
    cache: ContentsCache | None = None
    """The contents of layers that were read before; None: nothing is kept."""

    def check(
        self,
        bundle: AuthenticatedBundle,
        selected: Sequence[BundledImage],
        images: Sequence[ResolvedImage],
        engine: EngineOptions,
    ) -> dict[str, Any] | None:
        """Check and keep the images that are imported; return the member ``rules`` of the receipt.

        Raises:
            RejectedByRulesError: the images do not pass the rules; the verdict is kept.
            LimitError, DamagedEvidenceError, NoSpaceError, MediumError: it cannot be kept.
            BundlerError: a config or a layer is damaged.
        """
        if self.gate is not None:
            gate = replace(
                self.gate,
                reads_contents=self.keeps_packages,
                keep=self.session.keep,
                cache=self.cache,
            )
            return gate.check(bundle, selected, images, engine)
        if self.session.dry_run:
            return None
        audited = read_selected(bundle, selected, images, engine.executor, engine.cancellation)
        if self.keeps_packages:
            from bundler.bundle.audit.rules.gate import add_contents  # noqa: PLC0415 - only here

            audited = add_contents(audited, engine, cache=self.cache)
        self.session.keep(audited)
        return None
