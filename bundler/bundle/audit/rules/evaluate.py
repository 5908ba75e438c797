"""Evaluate rules: from rules and audited images to findings. No input or output happens here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.rules import waivers
from bundler.bundle.audit.rules.finding import (
    SEVERITIES,
    UNCHECKED,
    UNCHECKED_ADVICE,
    Finding,
    Place,
    is_at_least,
)
from bundler.bundle.audit.rules.rule import Problem
from bundler.bundle.audit.rules.unused import list_unused
from bundler.errors import FindingsError, count
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.documents.rules_file import ActiveRule, RuleSet
    from bundler.bundle.audit.rules.finding import WaivedFinding
    from bundler.bundle.audit.rules.waivers import Waiver

MAX_PROBLEMS = 1_000
"""The maximum number of findings of one rule about one image; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an audit."""

    audited: AuditedLocation
    rules: RuleSet
    findings: tuple[Finding, ...]
    """The findings that no waiver accepts, by image, the most severe first."""
    waived: tuple[WaivedFinding, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings with which the audit fails."""
        threshold = self.rules.fail_on
        return tuple(item for item in self.findings if is_at_least(item.severity, threshold))

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "location": self.audited.location,
            "authenticated": self.audited.is_authenticated,
            "audited": timestamps.format_utc(self.audited.now),
            "rules": {
                "digest": self.rules.digest.text,
                "failOn": self.rules.fail_on,
                "codes": [item.rule.code for item in self.rules.rules],
            },
            **self._describe_database(),
            "images": [image.name for image in self.audited.images],
            "passed": not self.failures,
            "findings": [finding.to_json() for finding in self.findings],
            "waived": [finding.to_json() for finding in self.waived],
        }

    def _describe_database(self) -> dict[str, Any]:
        report = self.audited.vulnerabilities
        if report is None:
            return {}
        return {"database": report.database.to_json(), **report.exploits}

    def check(self) -> None:
        """Raise an error if the audit fails, which does not repeat the findings.

        Raises:
            FindingsError: there is a finding with the severity ``failOn``, or a higher one.
        """
        failures = self.failures
        if failures:
            raise FindingsError(
                f"{self.audited.location}: does not pass: {count(len(failures), 'finding')}"
                f" with at least the severity {self.rules.fail_on}",
                (),
            )


def evaluate(rules: RuleSet, audited: AuditedLocation, accepted: Sequence[Waiver] = ()) -> Verdict:
    """Apply all rules to all images, then the accepted waivers to the findings."""
    found: list[Finding] = []
    for active in rules.rules:
        if active.rule.scope == "location":
            found += _create_findings(active, Place(), active.check(audited))
            continue
        for image in filter(active.applies_to, audited.images):
            place = Place(image=image.name, digest=image.digest.text if image.digest else "")
            if active.rule.depth != "names" and image.unreadable is not None:
                problems: Iterable[Problem] = [Problem(image.unreadable, is_unchecked=True)]
                found += _create_findings(active, place, problems)
            elif active.rule.scope == "image":
                found += _create_findings(active, place, active.check(audited, image))
            else:
                for platform in image.platforms:
                    own = replace(place, platform=platform.name, digest=platform.image.digest.text)
                    if active.rule.depth == "contents" and platform.contents is None:
                        reason = platform.unreadable or "its layers were not read"
                        problems = [Problem(reason, is_unchecked=True)]
                    else:
                        problems = active.check(audited, image, platform)
                    found += _create_findings(active, own, problems)
    found += list_unused(rules.rules, audited)
    findings, waived = waivers.apply(accepted, found, audited.now)
    order = {image.name: number for number, image in enumerate(audited.images)}
    findings.sort(
        key=lambda item: (
            order.get(item.place.image, -1),
            -SEVERITIES.index(item.severity),
            item.code,
        )
    )
    return Verdict(audited, rules, tuple(findings), tuple(waived))


def _create_findings(
    active: ActiveRule, place: Place, problems: Iterable[Problem]
) -> Iterator[Finding]:
    rule = active.rule
    for number, problem in enumerate(problems):
        if number == MAX_PROBLEMS:
            text = f"has more than {MAX_PROBLEMS:,} findings, of which the others are not listed"
            yield Finding(rule.code, active.severity, text, place, rule.advice)
            return
        own = replace(
            problem.place,
            image=place.image or problem.place.image,
            platform=place.platform,
            digest=place.digest,
        )
        if problem.is_unchecked:
            text = f"not checked: {problem.text}"
            code, severity, advice = rule.code + UNCHECKED, active.severity, UNCHECKED_ADVICE
        else:
            text, code, advice = problem.text, rule.code, rule.advice
            severity = problem.severity or active.severity
        yield Finding(code, severity, text, own, advice, problem.acceptance)
