"""The content of reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.bundle.audit.report.document import create_document
from bundler.bundle.audit.report.record import Report
from bundler.trust import keys
from tests.bundle.audit.report.conftest import NOW, create_images, create_report
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path


def test_shared_content_is_stored_once(report: Report):
    (shared,) = [layer for layer in report.layers if layer.is_layer and len(layer.images) > 1]
    assert len(shared.images) == 24
    assert [image.packages for image in report.images] == [
        1 if n % 5 == 0 else 41 for n in range(30)
    ]
    assert len(report.packages) == 40 + 30
    assert len(report.package_sets) == 1 + 30
    assert {each.images for each in report.packages} == {1, 24}
    assert report.total_size == sum(layer.size for layer in report.layers)


def test_packages_of_an_image_are_those_of_its_sets(report: Report):
    for image in report.images:
        (platform,) = image.platforms
        found = {
            report.packages[number].package.purl
            for one in platform.package_sets
            for number in report.package_sets[one].packages
        }
        contents = platform.audited.contents
        assert contents is not None
        assert found == {package.purl for package in contents.packages.packages}


def test_difference_to_the_former_bundle_is_reported(report: Report):
    assert report.since is not None
    difference = report.since.difference
    assert [item.name for item in difference.added] == [
        f"docker.io/library/app-{n}:1" for n in (0, 1)
    ]
    assert [item.name for item in difference.removed] == ["docker.io/library/gone:1"]
    assert difference.same == 28


def test_violated_rules_come_before_missing_signatures(report: Report):
    assert (report.conclusion, report.is_authenticated) == ("fails", False)


def test_passing_images_of_a_bundle_without_keys_are_not_verified(tmp_path: Path):
    key = keys.generate_key()
    named, rules = create_images(1), "rules: {no-latest: error}"
    bundles.write(tmp_path / "bundle", named, keys=(key,))
    report = create_report(tmp_path, named, rules=rules)
    assert report.bundle is not None
    assert (report.conclusion, report.is_authenticated) == ("not-verified", False)
    assert report.bundle.stated_signers == (key.public.id[:16],)
    signed = create_report(tmp_path, named, key.public, rules)
    assert signed.bundle is not None
    assert (signed.conclusion, signed.is_authenticated) == ("passes", True)
    assert signed.bundle.signers == ((key.public.id, ""),)


def test_audit_without_rules_has_no_verdict():
    report = Report("b", NOW)
    assert report.conclusion == "no-rules"
    assert "passed" not in create_document(report)


def test_error_is_the_only_result():
    document = create_document(Report("b", NOW, problem="b: damaged"))
    assert (document["conclusion"], document["problem"]) == ("not-verified", "b: damaged")
    assert "images" not in document


def test_document_is_json(report: Report):
    value = json.loads(json.dumps(create_document(report)))
    assert len(value["images"]) == 30
    names = [
        value["layers"][number]["digest"] for number in value["images"][1]["platforms"][0]["layers"]
    ]
    platform = report.images[1].platforms[0].audited.image
    assert names == [layer.digest.text for layer in platform.manifest.layers]
