"""Gate of an import: refuse a bundle whose images do not pass the rules of a site."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.rules.audited import AuditedLocation
from bundler.bundle.audit.rules.evaluate import evaluate
from bundler.bundle.audit.rules.finding import UNCHECKED
from bundler.bundle.audit.rules.read_images import compute_total_size, read_image
from bundler.bundle.audit.rules.read_layers import read_contents
from bundler.copy.parallel import run_all
from bundler.errors import RejectedByRulesError, count
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.differences.image_lists import ImageList
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.rules_file import RuleSet
    from bundler.bundle.audit.rules.waivers import Waiver
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.inventory import BundledImage
    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules that images must pass, the waivers, and the former bundle."""

    rules: RuleSet
    waivers: tuple[Waiver, ...] = ()
    former: ImageList | None = None
    """The images of a former bundle; None: none was given."""

    def check(
        self,
        bundle: AuthenticatedBundle,
        selected: Sequence[BundledImage],
        images: Sequence[ResolvedImage],
        engine: EngineOptions,
    ) -> dict[str, Any]:
        """Check the images that are imported, whose manifests were verified.

        Layers are read only if a rule needs them, and the images pass all other rules.

        Returns:
            The member ``rules`` of the receipt.

        Raises:
            RejectedByRulesError: there is a finding with the severity ``failOn``, or a higher one.
            BundlerError: a config or a layer is damaged.
        """
        readers = [
            partial(read_image, str(listed.reference), listed, image)
            for listed, image in zip(selected, images, strict=True)
        ]
        audited = AuditedLocation(
            location=bundle.inventory.stream,
            now=datetime.now(UTC),
            images=tuple(run_all(engine.executor, readers, engine.cancellation)),
            inventory=bundle.inventory,
            is_authenticated=bundle.is_authenticated,
            former=self.former,
            total_size=compute_total_size(images),
        )
        first = tuple(item for item in self.rules.rules if item.rule.depth != "contents")
        if len(first) < len(self.rules.rules):
            codes = {item.rule.code for item in first}
            applicable = [  # or those for findings about contents would be unused
                waiver for waiver in self.waivers if waiver.code.removesuffix(UNCHECKED) in codes
            ]
            _refuse(evaluate(replace(self.rules, rules=first), audited, applicable))
            pairs = [
                (image.source, item) for image, item in zip(images, audited.images, strict=True)
            ]
            contents = read_contents(pairs, engine.executor, engine.cancellation)
            audited = replace(audited, images=contents)
        verdict = evaluate(self.rules, audited, self.waivers)
        _refuse(verdict)
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


def _refuse(verdict: Verdict) -> None:
    if verdict.failures:
        number = count(len(verdict.failures), "finding")
        raise RejectedByRulesError(
            f"{verdict.audited.location}: does not pass the rules, {number}; nothing was pushed",
            [f"{finding} ({finding.advice})" for finding in verdict.failures],
        )
