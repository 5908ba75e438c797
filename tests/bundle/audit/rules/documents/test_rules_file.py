"""Rules files, and the schema and documentation that are generated from the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.bundle.audit.rules.checks import BY_CODE, RULES
from bundler.bundle.audit.rules.documents import rules_file
from bundler.errors import InvalidBundleManifestError
from tests.fakes import images

EXAMPLE = Path(__file__).parents[5] / "manifests/gate.yaml"


def test_example_loads():
    rules = rules_file.load(EXAMPLE)
    assert rules.fail_on == "error"
    severities = {item.rule.code: item.severity for item in rules.rules}
    assert (severities["not-root"], severities["max-age"]) == ("error", "warning")


def test_codes_are_unique():
    assert len(BY_CODE) == len(RULES)


def test_only_the_depth_that_rules_need_is_read(load_rules):
    assert load_rules("rules: {no-latest: error}").depth == "names"
    assert load_rules("rules: {no-latest: error, not-root: note}").depth == "manifests"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("rules: {no-latst: error}", "1:9", "no-latest"),
        ("rules: {no-latest: {sevrity: error}}", "1:21", "severity"),
        ("rules: {no-latest: fatal}", "1:20", "warning"),
        ("rules: {max-age: error}", "1:18", "mapping"),
        ("rules: {max-age: {}}", "1:18", "days"),
        ("rules: {max-age: {days: 0}}", "1:25", "1"),
        ("rules: {image-size: {max: much}}", "1:27", "500MiB"),
        ("rules: {allowed-sources: {allow: []}}", "1:34", "empty"),
        ("rules: {}", "1:8", "required"),
        ("failOn: never\nrules: {no-latest: error}", "1:9", "error"),
        ("[]", "1:1", "mapping"),
    ],
)
def test_mistake_has_its_position(load_rules, text, position, words):
    with pytest.raises(InvalidBundleManifestError) as caught:
        load_rules(text)
    (mistake,) = caught.value.findings
    assert f"gate.yaml:{position}: " in mistake
    assert words in mistake


def test_rule_applies_only_to_selected_images(audit):
    rule = "digest-pinned: {images: [docker.io], except: ['docker.io/library/b']}"
    names = [f"{name}:1" for name in ("docker.io/library/a", "docker.io/library/b", "quay.io/c")]
    verdict = audit(rule, dict.fromkeys(names, images.image()))
    assert [finding.place.image for finding in verdict.findings] == names[:1]
