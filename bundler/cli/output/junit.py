"""The result of an audit as JUnit XML: a suite for each image, with a test case for each rule.

A finding with which the audit fails is a failure; others are in the output of their test case.
The attributes are those that the schema of Jenkins' xUnit plugin (junit-10.xsd) requires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from bundler.bundle.audit.rules.finding import UNCHECKED, is_at_least
from bundler.cli.output.text import escape

if TYPE_CHECKING:
    from bundler.bundle.audit.rules.evaluate import Verdict


def create_junit(verdict: Verdict) -> str:
    """Return the document, which ends with a line feed."""
    audited = verdict.audited
    root = ET.Element("testsuites", name="airbundle audit")
    suites = {"": [item for item in verdict.rules.rules if item.rule.scope == "location"]}
    for audited_image in audited.images:
        suites[audited_image.name] = [
            item
            for item in verdict.rules.rules
            if item.rule.scope != "location" and item.applies_to(audited_image)
        ]
    for image, rules in suites.items():
        lines: dict[str, list[str]] = {item.rule.code: [] for item in rules}
        failing = set()
        for finding in verdict.findings:
            if finding.place.image == image:
                code = finding.code.removesuffix(UNCHECKED)
                lines.setdefault(code, []).append(escape(str(finding)))
                if is_at_least(finding.severity, verdict.rules.fail_on):
                    failing.add(code)
        waived = [item for item in verdict.waived if item.finding.place.image == image]
        name = escape(image or audited.location)
        numbers = {"tests": str(len(lines)), "failures": str(len(failing)), "errors": "0"}
        suite = ET.SubElement(root, "testsuite", {"name": name} | numbers)
        for code, found in lines.items():
            case = ET.SubElement(suite, "testcase", classname=name, name=code)
            if code in failing:
                failure = ET.SubElement(case, "failure", message=found[0], type=code)
                failure.text = "\n".join(found)
            notes = [] if code in failing else list(found)
            notes += [
                escape(f"waived: {item.finding} ({item.waiver.author}: {item.waiver.reason})")
                for item in waived
                if item.finding.code.removesuffix(UNCHECKED) == code
            ]
            if notes:
                ET.SubElement(case, "system-out").text = "\n".join(notes)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"
