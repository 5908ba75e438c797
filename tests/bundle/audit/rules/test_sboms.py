"""The rule that SBOMs agree with the packages that were found."""

from __future__ import annotations

import json

import pytest

from bundler.bundle.audit.packages.claims import claims
from tests.fakes import images, tars

APK = tars.layer(tars.member("lib/apk/db/installed", b"P:one\nV:1.0-r0\nL:MIT\n\nP:two\nV:2\n"))
IMAGE = images.image(APK)
KIND = "application/vnd.cyclonedx+json"
ALL = ("pkg:apk/alpine/one@1.0-r0?arch=x86_64", "pkg:apk/alpine/two@2")


def write_sbom(*purls):
    return json.dumps({"bomFormat": "CycloneDX", "components": [{"purl": p} for p in purls]})


@pytest.fixture
def audit_with(audit, tmp_path):
    """Audit an image with these documents as referrers."""

    def run(documents, settings="error", image=IMAGE):
        artifacts = [
            images.artifact(KIND, item.encode(), media_type=KIND, subject=image)
            for item in documents
        ]
        named = {"a": image} | {f"referrer{number}": item for number, item in enumerate(artifacts)}
        layout = images.write_layout(tmp_path / "layout", named)
        return audit(f"sbom-agrees: {settings}", location=f"oci:{layout}:a")

    return run


@pytest.mark.parametrize(
    ("documents", "settings", "packages"),
    [
        ([ALL], "error", []),
        ([(*ALL, "pkg:generic/openssl@3", "pkg:oci/app@1")], "error", []),
        ([(*ALL, "pkg:apk/alpine/ghost@1")], "error", ["ghost"]),
        ([(*ALL, "pkg:apk/alpine/ghost@1")], "{notFound: 1}", []),
        ([(*ALL, "pkg:npm/ghost@1")], "{types: [apk]}", []),
        ([ALL[:1]], "error", ["two"]),
        ([ALL[:1]], "{notClaimed: 1}", []),
        ([(ALL[0], "pkg:apk/alpine/two@3")], "{notFound: 5, notClaimed: 5}", ["two"]),
        ([(ALL[0], "pkg:apk/alpine/two@3")], "{otherVersion: 1}", []),
        ([ALL, ALL[:1]], "error", ["two"]),
    ],
)
def test_differences_are_findings_beyond_their_limits(audit_with, documents, settings, packages):
    found = audit_with([write_sbom(*item) for item in documents], settings).findings
    assert [(item.code, item.place.package) for item in found] == [
        ("sbom-agrees", package) for package in packages
    ]


@pytest.mark.parametrize("documents", [[], ['{"predicateType": "https://slsa.dev/provenance/v1"}']])
def test_image_without_an_sbom_is_found(audit_with, documents):
    (finding,) = audit_with(documents).findings
    assert (finding.code, finding.text) == ("sbom-agrees", "has no SBOM about this image")


def test_sbom_of_another_image_does_not_count(audit_with):
    statement = {
        "predicateType": "https://cyclonedx.org/bom",
        "subject": [{"digest": {"sha256": "ab" * 32}}],
        "predicate": json.loads(write_sbom(*ALL)),
    }
    (finding,) = audit_with([json.dumps(statement)]).findings
    assert finding.text == "has no SBOM about this image"


def test_document_that_cannot_be_read_leaves_the_rule_unchecked(audit_with):
    (finding,) = audit_with([write_sbom(*ALL), "garbage"]).findings
    assert finding.code == "sbom-agrees-unchecked"


def test_database_that_cannot_be_read_leaves_the_rule_unchecked(audit_with):
    image = images.image(APK, tars.layer(tars.member("usr/lib/apk/db/installed", b"garbage")))
    (finding,) = audit_with([write_sbom(*ALL)], image=image).findings
    assert finding.code == "sbom-agrees-unchecked"


def test_too_many_documents_leave_the_rule_unchecked(audit_with, monkeypatch):
    monkeypatch.setattr(claims, "MAX_DOCUMENTS", 1)
    found = audit_with([write_sbom(*ALL), write_sbom(*ALL, "pkg:generic/other@1")]).findings
    assert [item.code for item in found] == ["sbom-agrees-unchecked"]
