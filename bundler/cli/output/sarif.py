"""The result of an audit in SARIF 2.1.0, for platforms that show findings of scanners.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bundler import __version__
from bundler.bundle.audit.rules.checks import BY_CODE
from bundler.bundle.audit.rules.finding import UNCHECKED, Finding
from bundler.cli.output.text import escape
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.audit.rules.waivers import Waiver

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_MARKUP = str.maketrans({"\\": "\\\\", "[": "\\[", "]": "\\]", "{": "{{", "}": "}}"})


def create_sarif(verdict: Verdict) -> dict[str, Any]:
    """Return the log of one run. Findings that waivers accept are suppressed results."""
    items: list[tuple[Finding, Waiver | None]] = [(item, None) for item in verdict.findings]
    items += [(item.finding, item.waiver) for item in verdict.waived]
    codes = sorted({finding.code for finding, _ in items})
    advice = {finding.code: finding.advice for finding, _ in reversed(items)}
    rules: list[dict[str, Any]] = []
    for code in codes:
        rules.append({"id": code, "help": {"text": advice[code].translate(_MARKUP)}})
        if (rule := BY_CODE.get(code.removesuffix(UNCHECKED))) is not None:
            rules[-1]["shortDescription"] = {"text": rule.summary.translate(_MARKUP)}
    driver = {"name": "airbundle", "version": __version__, "rules": rules}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "endTimeUtc": timestamps.format_utc(verdict.audited.now),
                    }
                ],
                "results": [
                    _create_result(finding, waiver, codes.index(finding.code), verdict)
                    for finding, waiver in items
                ],
                "properties": {
                    "location": escape(verdict.audited.location),
                    "authenticated": verdict.audited.is_authenticated,
                    "rulesDigest": verdict.rules.digest.text,
                    "passed": not verdict.failures,
                },
            }
        ],
    }


def _create_result(
    finding: Finding, waiver: Waiver | None, rule: int, verdict: Verdict
) -> dict[str, Any]:
    place = {name: escape(text) for name, text in finding.place.to_json().items()}
    name = ": ".join(filter(None, (str(finding.place) or verdict.audited.location, finding.text)))
    uri = "/".join(filter(None, (finding.place.image or "bundle.json", finding.place.path)))
    location: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(uri, safe="/@", errors="surrogateescape")}
        }
    }
    if place:
        location["logicalLocations"] = [{"fullyQualifiedName": escape(str(finding.place))}]
    identity = json.dumps([finding.code, finding.place.to_json(), finding.text])
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": escape(name).translate(_MARKUP)},
        "locations": [location],
        "partialFingerprints": {"airbundle/v1": sha256(identity.encode()).hexdigest()},
    }
    if place:
        result["properties"] = place
    if waiver is not None:
        reason = escape(f"{waiver.author}: {waiver.reason}")
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": reason}
        ]
    return result
