"""Scopes of rules that contain no image."""

from __future__ import annotations

import pytest

from bundler.bundle.audit.rules.finding import SCOPE_UNUSED


@pytest.mark.parametrize(
    ("settings", "severities"),
    [
        ("images: [docker.io/library]", []),
        ("images: [docker.io/libary]", ["warning"]),
        ("images: [docker.io/library, quay.io]", ["warning"]),
        ("except: [docker.io/library/other]", ["note"]),
        ("except: ['docker.io/library/app:1']", []),
    ],
)
def test_scope_without_an_image_is_a_finding(audit, settings, severities):
    verdict = audit(f"no-latest: {{{settings}}}")
    found = [item for item in verdict.findings if item.code == SCOPE_UNUSED]
    assert [item.severity for item in found] == severities
    assert all("no-latest" in item.text for item in found)


def test_waiver_accepts_an_unused_scope(audit):
    waivers = (
        f"waivers:\n- {{code: {SCOPE_UNUSED}, reason: one file, author: me, expires: 2026-12-31}}\n"
    )
    assert not audit("no-latest: {except: [quay.io]}", waivers=waivers).findings
