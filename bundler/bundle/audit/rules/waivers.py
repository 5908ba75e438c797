"""Waivers: findings that a person accepts, for a reason and until a date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bundler.bundle.audit.rules.finding import Finding, Place, WaivedFinding
from bundler.bundle.audit.rules.rule import is_in_scope
from bundler.errors import BundlerError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.bundle.audit.vulnerabilities.result import StatedClaim

EXPIRED = "waiver-expired"
UNUSED = "waiver-unused"


@dataclass(frozen=True, slots=True)
class Waiver:
    """The acceptance of findings with one code. Unset parts match every finding."""

    code: str
    """The code of the findings; that of a rule does not include its ``-unchecked``."""
    reason: str
    author: str
    expires: datetime | None
    """The first time at which it does not apply; None: it always does."""
    origin: str
    """``file:line`` of the waiver, or the digest of the statement that it stands for."""
    image: str = ""
    """A registry, a repository, the first parts of one, or the full name of an image."""
    digest: str = ""
    """The digest of the manifest of the image, or of its platform."""
    path: str = ""
    package: str = ""
    vulnerability: str = ""
    """The ID that findings state."""

    def covers(self, finding: Finding) -> bool:
        """Return whether the waiver accepts a finding, whatever the date is."""
        place = finding.place
        return (
            self.code == finding.code
            and (not self.image or _is_image(place.image, self.image))
            and (not self.digest or self.digest == place.digest)
            and (not self.path or self.path.strip("/") == place.path)
            and (not self.package or self.package == place.package)
            and (not self.vulnerability or self.vulnerability == place.vulnerability)
        )

    def to_json(self) -> dict[str, str]:
        """Return the reason, the author and the expiry as JSON."""
        value = {"reason": self.reason, "author": self.author, "origin": self.origin}
        if self.expires is not None:
            value["expires"] = f"{self.expires - timedelta(days=1):%Y-%m-%d}"
        return value


def apply(
    waivers: Sequence[Waiver], findings: Iterable[Finding], now: datetime
) -> tuple[list[Finding], list[WaivedFinding]]:
    """Separate the findings that waivers accept from the others.

    A statement of a trusted signer accepts a finding as a waiver does. Expired waivers, and those
    that no finding needs, are added as findings.
    """

    def is_valid(waiver: Waiver) -> bool:
        return waiver.expires is None or now < waiver.expires

    remaining: list[Finding] = []
    waived: list[WaivedFinding] = []
    used: set[Waiver] = set()
    for finding in findings:
        covering = [waiver for waiver in waivers if waiver.covers(finding)]
        used.update(covering)
        valid = next((waiver for waiver in covering if is_valid(waiver)), None)
        if valid is None and finding.acceptance is not None:
            valid = _create_waiver(finding.code, finding.acceptance)
        if valid is None:
            remaining.append(finding)
        else:
            waived.append(WaivedFinding(finding, valid))
    for waiver in waivers:
        if not is_valid(waiver):
            remaining.append(_create_finding(EXPIRED, waiver, "has expired"))
        elif waiver not in used:
            remaining.append(_create_finding(UNUSED, waiver, "accepts no finding"))
    return remaining, waived


def _create_waiver(code: str, stated: StatedClaim) -> Waiver:
    """Return the waiver for which a statement of a trusted signer stands."""
    reason = f"{stated.statement.status}, {stated.statement.justification or 'no reason stated'}"
    return Waiver(code, reason, f"VEX by {stated.signer}", None, stated.document.text)


def _create_finding(code: str, waiver: Waiver, problem: str) -> Finding:
    subject = f"the waiver for {waiver.code} at {waiver.origin}, by {waiver.author},"
    return Finding(
        code, "warning", f"{subject} {problem}", Place(), "Renew the waiver, or remove it."
    )


def _is_image(name: str, scope: str) -> bool:
    if name == scope:
        return True
    try:
        return is_in_scope(ImageReference.parse(name), scope)
    except BundlerError:
        return False
