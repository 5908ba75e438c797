"""Findings: problems of images and bundles, in the form in which every output shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from bundler.bundle.audit.rules.waivers import Waiver
    from bundler.bundle.audit.vulnerabilities.result import StatedClaim

Severity = Literal["note", "warning", "error"]
"""The severities, which are those of SARIF."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The severities, the least severe first."""

SCOPE_UNUSED = "rule-scope-unused"
"""The code of findings about the scopes of a rule in which no image is."""
IGNORE_UNUSED = "rule-ignore-unused"
"""The code of findings about ignored vulnerabilities that no image has."""
UNCHECKED = "-unchecked"
"""The end of the code of a finding about a rule that could not be evaluated."""
UNCHECKED_ADVICE = (
    "The image may break this rule: remove the reason, or examine the image yourself and waive"
    " this code."
)
"""The next step after such a finding."""


@dataclass(frozen=True, slots=True)
class Place:
    """The part of the audited content that a finding is about; unset parts are empty."""

    image: str = ""
    """The full name of the image; empty: the whole bundle."""
    platform: str = ""
    digest: str = ""
    """The digest of the manifest of the image, or of its platform."""
    layer: str = ""
    """The digest of the layer that contains ``path``."""
    path: str = ""
    """A file in the image."""
    package: str = ""
    """The name of a package, with its scope or group."""
    vulnerability: str = ""
    """The ID of a vulnerability of the package."""

    def to_json(self) -> dict[str, str]:
        """Return the parts that are set."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if value}

    def __str__(self) -> str:
        platform = f" ({self.platform})" if self.platform else ""
        parts = (f"{self.image}{platform}", self.path and f"/{self.path}", self.package)
        return ": ".join(filter(None, parts))


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that a rule finds. Texts may contain text from images, so they are untrusted."""

    code: str
    """The name of the rule; with ``UNCHECKED`` added if the rule could not be evaluated."""
    severity: Severity
    text: str
    """The problem, without the place."""
    place: Place = field(default=NOWHERE)
    advice: str = ""
    """The next step of a person who reads the finding."""
    acceptance: StatedClaim | None = field(default=None, compare=False)
    """The statement of a trusted signer that accepts it; None: there is none."""

    @property
    def is_unchecked(self) -> bool:
        """Whether the rule could not be evaluated, so that it may be broken or not."""
        return self.code.endswith(UNCHECKED)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "text": self.text,
            "place": self.place.to_json(),
            "advice": self.advice,
        }

    def __str__(self) -> str:
        return f"{self.severity}: {self.code}: " + ": ".join(
            filter(None, (str(self.place), self.text))
        )


@dataclass(frozen=True, slots=True)
class WaivedFinding:
    """A finding that a waiver, or the statement of a trusted signer, accepts."""

    finding: Finding
    waiver: Waiver

    def to_json(self) -> dict[str, Any]:
        """Return the finding with its waiver as JSON."""
        return self.finding.to_json() | {"waiver": self.waiver.to_json()}


def is_at_least(severity: Severity, threshold: Severity) -> bool:
    """Return whether ``severity`` is ``threshold`` or more severe."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(threshold)
