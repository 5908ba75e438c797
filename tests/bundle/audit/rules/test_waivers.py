"""Waivers: which findings they accept, and until when."""

from __future__ import annotations

import pytest

from bundler.errors import InvalidBundleManifestError

WAIVER = "waivers:\n- {code: not-root, reason: set by the pod, author: me, expires: 2026-12-31%s}\n"
ROOT = "not-root: error"


@pytest.mark.parametrize(
    "part", ["", ", image: docker.io/library", ", image: 'docker.io/library/app:1'"]
)
def test_waiver_accepts_a_finding(audit, part):
    verdict = audit(ROOT, waivers=WAIVER % part)
    assert not verdict.findings
    (waived,) = verdict.waived
    assert waived.to_json()["waiver"]["expires"] == "2026-12-31"


@pytest.mark.parametrize(
    "part", [", image: quay.io", ", path: etc/passwd", f", digest: 'sha256:{'a' * 64}'"]
)
def test_waiver_for_something_else_is_unused(audit, part):
    verdict = audit(ROOT, waivers=WAIVER % part)
    assert [finding.code for finding in verdict.findings] == ["waiver-unused", "not-root"]


def test_expired_waiver_accepts_nothing(audit):
    verdict = audit(ROOT, waivers=WAIVER.replace("2026-12-31", "2026-11-30") % "")
    assert [finding.code for finding in verdict.findings] == ["waiver-expired", "not-root"]
    assert not verdict.waived


def test_waiver_applies_on_its_last_day(audit):
    assert audit(ROOT, waivers=WAIVER.replace("2026-12-31", "2026-12-01") % "").waived


def test_waiver_of_a_rule_does_not_accept_that_it_was_not_evaluated(audit):
    text = WAIVER.replace("not-root", "max-age")
    verdict = audit("max-age: {days: 1}", waivers=text % "")
    assert "max-age-unchecked" in [finding.code for finding in verdict.findings]
    text = text.replace("max-age", "max-age-unchecked")
    assert not audit("max-age: {days: 1}", waivers=text % "").findings


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        (WAIVER.replace("not-root", "not-rot") % "", "2:10: unknown code"),
        (WAIVER.replace("2026-12-31", "2026-02-31") % "", "2:65"),
        (WAIVER.replace("reason", "reasons") % "", "reason"),
        (WAIVER.replace("2026-12-31", "soon") % "", "2:65"),
    ],
)
def test_mistake_has_its_position(audit, text, mistake):
    with pytest.raises(InvalidBundleManifestError) as caught:
        audit(ROOT, waivers=text)
    assert any(mistake in line for line in caught.value.findings)
