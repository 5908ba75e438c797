"""The formats of the result of an audit for other programs."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest

from bundler.bundle.audit.rules import waivers
from bundler.bundle.audit.rules.audited import AuditedImage, AuditedLocation
from bundler.bundle.audit.rules.checks import BY_CODE
from bundler.bundle.audit.rules.documents.rules_file import ActiveRule, RuleSet
from bundler.bundle.audit.rules.evaluate import Verdict
from bundler.bundle.audit.rules.finding import Finding, Place
from bundler.cli.output.junit import create_junit
from bundler.cli.output.sarif import create_sarif
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOSTILE = "a\x1b[2J\x00 [link](x) {0} </failure>&\u202e \udc80"
IMAGES = ("quay.io/a:1", "quay.io/b:1")


@pytest.fixture
def verdict() -> Verdict:
    """Two images, each with a finding of two rules; one finding is waived."""
    images = tuple(AuditedImage(name, ImageReference.parse(name), None) for name in IMAGES)
    findings = [
        Finding("not-root", "error", HOSTILE, Place(image=IMAGES[0], path=HOSTILE), "Use USER."),
        Finding("max-age-unchecked", "note", "not checked", Place(image=IMAGES[0]), "Wait."),
        Finding("not-root", "error", "runs as root", Place(image=IMAGES[1]), "Use USER."),
    ]
    waiver = waivers.Waiver(
        "not-root", HOSTILE, "me", NOW.replace(year=2027), "w.yaml:2", image=IMAGES[1]
    )
    remaining, waived = waivers.apply([waiver], findings, NOW)
    rules = tuple(
        ActiveRule(BY_CODE[code], "error", lambda *_: iter(())) for code in ("not-root", "max-age")
    )
    return Verdict(
        AuditedLocation("b", NOW, images),
        RuleSet(rules, "error", Digest.of(b"")),
        tuple(remaining),
        tuple(waived),
    )


def test_sarif_has_a_result_for_each_finding(verdict):
    (run,) = create_sarif(verdict)["runs"]
    rules = run["tool"]["driver"]["rules"]
    results = run["results"]
    assert [item["ruleId"] for item in results] == ["not-root", "max-age-unchecked", "not-root"]
    assert [rules[item["ruleIndex"]]["id"] for item in results] == [
        item["ruleId"] for item in results
    ]
    assert [item["level"] for item in results] == ["error", "note", "error"]
    assert ["suppressions" in item for item in results] == [False, False, True]
    assert len({item["partialFingerprints"]["airbundle/v1"] for item in results}) == 3


def test_text_of_images_is_escaped_in_sarif(verdict):
    (run,) = create_sarif(verdict)["runs"]
    result = run["results"][0]
    message = result["message"]["text"]
    assert message.isprintable()
    assert r"\[link\](x) {{0}}" in message
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.isascii()
    assert not set(uri) & set(" \\[]{}<>:\x1b")


def test_junit_has_a_test_case_for_each_rule(verdict):
    root = ET.fromstring(create_junit(verdict))
    numbers = [[suite.get(name) for name in ("tests", "failures", "errors")] for suite in root]
    assert numbers == [["0", "0", "0"], ["2", "1", "0"], ["2", "0", "0"]]
    cases = {
        (suite.get("name"), case.get("name")): [child.tag for child in case]
        for suite in root
        for case in suite
    }
    assert cases == {
        (IMAGES[0], "not-root"): ["failure"],
        (IMAGES[0], "max-age"): ["system-out"],
        (IMAGES[1], "not-root"): ["system-out"],
        (IMAGES[1], "max-age"): [],
    }


def test_text_of_images_is_escaped_in_junit(verdict):
    document = create_junit(verdict)
    assert document.replace("\n", "").isprintable()
    failure = ET.fromstring(document).find(".//failure")
    assert failure is not None
    assert "</failure>&" in (failure.text or "")
