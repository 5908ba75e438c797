"""Gate of an import: refuse a bundle whose images do not pass the rules of a site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.bundle.audit.rules.evaluate import evaluate
from bundler.bundle.audit.rules.finding import UNCHECKED
from bundler.bundle.audit.rules.reading.read_images import read_selected
from bundler.bundle.audit.rules.reading.read_layers import read_contents
from bundler.bundle.audit.rules.reading.read_vulnerabilities import add_vulnerabilities
from bundler.bundle.audit.rules.run_programs import add_program_results
from bundler.errors import RejectedByRulesError, count
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.packages.claims.vex_signers import VexSigner
    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.documents.rules_file import RuleSet
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.former import FormerBundle
    from bundler.bundle.audit.rules.waivers import Waiver
    from bundler.bundle.audit.vulnerabilities.files import VulnerabilityFiles
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules that images must pass, the waivers, and the former bundle."""

    rules: RuleSet
    waivers: tuple[Waiver, ...] = ()
    former: FormerBundle | None = None
    """The bundle that rules about changes compare with; None: none was given."""
    now: datetime | None = None
    """The time with which ages and expiries are compared; None: the current time."""
    vulnerabilities: VulnerabilityFiles | None = None
    """The database for the rules about vulnerabilities; None: none was given."""
    reads_contents: bool = False
    """Whether layers are read even if no rule needs them."""
    cache: ContentsCache | None = None
    """The contents of layers that were read before; None: nothing is kept."""
    keep: Callable[[AuditedLocation, Verdict], None] | None = None
    """Receives what was read and the verdict, before a bundle is refused."""

    @property
    def former_images(self) -> ImageList | None:
        """The images of the former bundle."""
        return None if self.former is None else self.former.images

    def check(
        self,
        bundle: AuthenticatedBundle,
        selected: Sequence[BundledImage],
        images: Sequence[ResolvedImage],
        engine: EngineOptions,
    ) -> dict[str, Any]:
        """Check the images that are imported, whose manifests were verified.

        Layers are read only if they are needed, and the images pass all other rules.

        Returns:
            The member ``rules`` of the receipt.

        Raises:
            RejectedByRulesError: there is a finding with the severity ``failOn``, or a higher one.
            BundlerError: a config or a layer is damaged.
        """
        extras = self.rules.extras
        audited = read_selected(
            bundle, selected, images, engine.executor, engine.cancellation, extras=extras
        )
        now = self.now or audited.now
        audited = replace(audited, former=self.former_images, now=now)
        first = tuple(item for item in self.rules.rules if item.rule.depth != "contents")
        if len(first) < len(self.rules.rules):
            codes = {item.rule.code for item in first}
            applicable = [  # or those for findings about contents would be unused
                waiver for waiver in self.waivers if waiver.code.removesuffix(UNCHECKED) in codes
            ]
            verdict = evaluate(replace(self.rules, rules=first), audited, applicable)
            self._refuse(verdict, "; the layers were not examined, and may have more findings")
        if self.reads_contents or len(first) < len(self.rules.rules):
            audited = add_contents(
                audited,
                engine,
                with_claims="claims" in extras,
                signers=self.rules.vex,
                cache=self.cache,
            )
            audited = add_program_results(audited, self.rules.rules, engine.cancellation)
            # The result is kept even if no rule needs it.
            is_needed = self.keep is not None or "vulnerabilities" in extras
            if is_needed and self.vulnerabilities is not None:
                audited = add_vulnerabilities(audited, self.vulnerabilities, engine.cancellation)
        verdict = evaluate(self.rules, audited, self.waivers)
        self._refuse(verdict)
        if self.keep is not None:
            self.keep(audited, verdict)
        if verdict.findings:
            number = count(len(verdict.findings), "finding")
            engine.emit(
                WarningIssued(
                    f"rules: {number} below the severity {self.rules.fail_on};"
                    " list them with airbundle audit"
                )
            )
        used = {item.waiver: None for item in verdict.waived}
        return {
            "digest": self.rules.digest.text,
            "failOn": self.rules.fail_on,
            "findings": len(verdict.findings),
            "waived": len(verdict.waived),
            "waivers": [{"code": waiver.code} | waiver.to_json() for waiver in used],
        }

    def _refuse(self, verdict: Verdict, note: str = "") -> None:
        if not verdict.failures:
            return
        if self.keep is not None:
            self.keep(verdict.audited, verdict)
        number = count(len(verdict.failures), "finding")
        raise RejectedByRulesError(
            f"{verdict.audited.location}: does not pass the rules, {number}; nothing was pushed"
            f"{note}",
            [f"{finding} ({finding.advice})" for finding in verdict.failures],
        )


def add_contents(
    audited: AuditedLocation,
    engine: EngineOptions,
    *,
    with_claims: bool = False,
    signers: Sequence[VexSigner] = (),
    cache: ContentsCache | None = None,
) -> AuditedLocation:
    """Read the layers of images whose manifests were read.

    Raises:
        BundlerError: a layer is damaged.
    """
    pairs = [(image.resolved.source, image) for image in audited.images if image.resolved]
    with LayerReader(engine.cancellation, cache) as reader:
        contents = read_contents(pairs, reader, with_claims=with_claims, signers=signers)
    return replace(audited, images=contents)
